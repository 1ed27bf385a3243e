import Bytes
import CGatewayABI
import GatewayCluster
import GatewayIO
import Synchronization
import WebSocket

/// The topics of one worker: the connections that are subscribed, and what was published and not sent.
final class PubSub {
    /// Topics that connections of this worker are subscribed to.
    private(set) var topics: [TopicKey: WorkerTopic] = [:]
    /// What was published in this turn and not sent.
    private(set) var batch = PublicationBatch()
    /// What of it the other gateways are to get: publications of one turn wake the thread of an engine once.
    private var awaited: [SharedTopic] = []

    // MARK: Subscribing

    /// Subscribes an open connection; `topic` has counted it already.
    func subscribe(_ peer: ConnectionPointer, _ topic: Topic, on worker: Worker) {
        let rareState = peer.pointee.ownRareState
        if rareState.memberships.contains(where: { $0.topic.topic.key == topic.key }) {
            return unsubscribed(peer.pointee.slot, topic, on: worker)
        }
        let local = topics[topic.key] ?? WorkerTopic(topic)
        topics[topic.key] = local
        // What was published before is not for it.
        let from = batch.topic === local ? batch.bytes.count : 0
        rareState.memberships.append(.init(topic: local, index: local.members.count))
        local.members.append(.init(place: peer, from: from))
        peer.pointee.flags.insert(.member)
        worker.ledger?.noteChange(peer)
    }

    func unsubscribe(_ peer: ConnectionPointer, _ key: TopicKey, on worker: Worker) {
        guard let rareState = peer.pointee.rareState,
            let index = rareState.memberships.firstIndex(where: { $0.topic.topic.key == key })
        else { return }
        deliverBatch(peer, on: worker)
        leave(peer, rareState, index, on: worker)
    }

    /// The connection ends: it gets what was published before, and nothing else.
    func leaveTopics(_ peer: ConnectionPointer, on worker: Worker) {
        guard let rareState = peer.pointee.rareState else { return }
        deliverBatch(peer, on: worker)
        while !rareState.memberships.isEmpty { leave(peer, rareState, rareState.memberships.count - 1, on: worker) }
    }

    private func leave(_ peer: ConnectionPointer, _ rareState: RareState, _ index: Int, on worker: Worker) {
        worker.ledger?.noteChange(peer)
        let membership = rareState.memberships.remove(at: index)
        if rareState.memberships.isEmpty { peer.pointee.flags.remove(.member) }
        let local = membership.topic
        // The last member takes the place that becomes free.
        let moved = local.members.removeLast()
        if membership.index < local.members.count {
            local.members[membership.index] = moved
            moved.place.pointee.rareState?.note(local, at: membership.index)
        }
        if local.members.isEmpty {
            topics[local.topic.key] = nil
            if batch.topic === local { dropBatch() }
        }
        unsubscribed(peer.pointee.slot, local.topic, on: worker)
    }

    private func unsubscribed(_ slot: UInt32, _ topic: Topic, on worker: Worker) {
        worker.port.sharedTable[slot].topics.subtract(1, ordering: .relaxed)
        worker.server.topics.leave(topic, worker: Int(worker.port.index))
    }

    /// A subscription that another thread asked for and counted.
    func receiveSubscription(_ topic: Topic, of id: ConnectionID, on worker: Worker) {
        guard let peer = worker.table.find(slot: id.slot, serial: id.serial), peer.pointee.phase == .open else {
            worker.passOn(id, .subscribe(isGlobal: topic.key.scope.isEmpty), topic.key.name)
            return unsubscribed(id.slot, topic, on: worker)
        }
        subscribe(peer, topic, on: worker)
    }

    // MARK: Publishing

    /// Takes a publication into the batch of its topic.
    ///
    /// - Returns: how many subscribers of this worker get it.
    func publish(
        _ local: WorkerTopic, _ header: FrameWriter, _ payload: UnsafeRawBufferPointer, isPlain: Bool, except: UInt64,
        on worker: Worker
    ) -> Int {
        openBatch(local, room: header.count + payload.count, on: worker)
        let start = batch.bytes.count
        unsafe withUnsafeBytes(of: (header.low.littleEndian, header.high.littleEndian)) {
            unsafe batch.bytes.append(UnsafeRawBufferPointer(rebasing: $0[..<header.count]))
        }
        unsafe batch.bytes.append(payload)
        return notePublication(start, local, isPlain: isPlain, except, on: worker)
    }

    /// The same with a frame that is shared with other workers.
    func publish(
        _ local: WorkerTopic, _ frame: UnsafeMutablePointer<SharedBuffer>, isPlain: Bool, except: UInt64,
        on worker: Worker
    ) -> Int {
        let count = unsafe frame.pointee.count
        if count >= PublicationBatch.large {
            return unsafe publishAlone(local, frame, isPlain: isPlain, except: except, on: worker)
        }
        openBatch(local, room: count, on: worker)
        let start = batch.bytes.count
        unsafe batch.bytes.append(frame.pointee.bytes)
        return notePublication(start, local, isPlain: isPlain, except, on: worker)
    }

    private func openBatch(_ local: WorkerTopic, room: Int, on worker: Worker) {
        if let topic = batch.topic, topic !== local || batch.bytes.count + room > PublicationBatch.most {
            closeBatch(isTurnOver: false, on: worker)
        }
        // A member that reads too slowly may have been dropped by that, and be the last one.
        batch.topic = local
    }

    private func notePublication(
        _ start: Int, _ local: WorkerTopic, isPlain: Bool, _ except: UInt64, on worker: Worker
    ) -> Int {
        batch.note(start, isPlain: isPlain)
        guard except != 0, isMember(except, local, on: worker) else { return local.members.count }
        batch.exceptions.append((except, start..<batch.bytes.count))
        return local.members.count - 1
    }

    private func isMember(_ connection: UInt64, _ local: WorkerTopic, on worker: Worker) -> Bool {
        let id = ConnectionID(connection)
        guard id.worker == Int(worker.port.index), let peer = worker.table.find(slot: id.slot, serial: id.serial) else {
            return false
        }
        return peer.pointee.rareState?.memberships.contains { $0.topic === local } ?? false
    }

    /// A large publication: each member's queue refers to it.
    private func publishAlone(
        _ local: WorkerTopic, _ frame: UnsafeMutablePointer<SharedBuffer>, isPlain: Bool, except: UInt64,
        on worker: Worker
    ) -> Int {
        closeBatch(isTurnOver: false, on: worker)
        let wasDelivering = worker.closer.isDelivering
        worker.closer.isDelivering = true
        var reached = 0
        var index = local.members.count - 1
        while index >= 0 {
            let peer = local.members[index].place
            if peer.pointee.id.number != except {
                var block = unsafe frame
                if !isPlain, peer.pointee.flags.contains(.inspected) {
                    unsafe block =
                        worker.compressor.share(
                            frame.pointee.bytes, starts: [0], plain: [false], with: peer, on: worker) ?? frame
                }
                unsafe give(
                    peer, block, 0..<block.pointee.count, .init(PublicationBatch.kind(of: frame.pointee.bytes)),
                    plain: block == frame ? nil : frame.pointee.bytes, on: worker)
                reached += 1
            }
            // A member that has broken is gone and the last one takes its place: that one has been served already.
            index = min(index, local.members.count) - 1
        }
        worker.compressor.endSharing()
        worker.closer.isDelivering = wasDelivering
        worker.closer.closeSlowConsumers(on: worker)
        return reached
    }

    /// A publication of another thread.
    func receivePublication(_ topic: Topic, _ address: UInt, isPlain: Bool, except: UInt64, on worker: Worker) {
        guard let frame = unsafe UnsafeMutablePointer<SharedBuffer>(bitPattern: address) else { return }
        unsafe worker.port.publishedBytes.subtract(frame.pointee.count, ordering: .relaxed)
        if let local = topics[topic.key] {
            _ = unsafe publish(local, frame, isPlain: isPlain, except: except, on: worker)
        }
        unsafe SharedBuffer.release(frame)
    }

    // MARK: Rounds

    /// Gives every member what was published in this batch.
    ///
    /// - Parameter isTurnOver: nothing else comes in this turn, so that it may be written at once.
    func closeBatch(isTurnOver: Bool, on worker: Worker) {
        guard let local = batch.topic else { return }
        batch.topic = nil
        if !awaited.isEmpty { ringAwaited() }
        let wasDelivering = worker.closer.isDelivering
        worker.closer.isDelivering = true
        let whole = unsafe UnsafeRawBufferPointer(batch.bytes.bytes)
        let isForAll = batch.exceptions.isEmpty
        var shared: UnsafeMutablePointer<SharedBuffer>?
        var index = local.members.count - 1
        while index >= 0 {
            let peer = local.members[index].place
            let from = local.members[index].from
            local.members[index].from = 0
            if from != 0 || !isForAll {
                unsafe giveRuns(peer, from: from, &shared, on: worker)
            } else if peer.pointee.flags.contains(.inspected), unsafe giveInspected(peer, whole, &shared, on: worker) {
                // It has the whole batch.
            } else if isTurnOver, isIdle(peer) {
                unsafe writeAtOnce(peer, whole, &shared, on: worker)
            } else {
                unsafe giveRuns(peer, from: 0, &shared, on: worker)
            }
            index = min(index, local.members.count) - 1
        }
        if let shared = unsafe shared { unsafe SharedBuffer.release(shared) }
        worker.compressor.endSharing()
        batch.empty()
        worker.closer.isDelivering = wasDelivering
        worker.closer.closeSlowConsumers(on: worker)
    }

    /// Queues what is for a member of the batch, from a byte of it on.
    @inline(never)
    private func giveRuns(
        _ peer: ConnectionPointer, from: Int, _ shared: inout UnsafeMutablePointer<SharedBuffer>?, on worker: Worker
    ) {
        for run in batch.runs(for: peer.pointee.id.number, from: from) {
            guard let block = unsafe keepBatch(&shared) else { return }
            unsafe give(peer, block, run, batch.publications(in: run), on: worker)
        }
    }

    /// Queues the whole batch, compressed in one block, or for a member that somebody follows.
    ///
    /// - Returns: false when nothing of it becomes smaller, and nobody does.
    @inline(never)
    private func giveInspected(
        _ peer: ConnectionPointer, _ whole: UnsafeRawBufferPointer,
        _ shared: inout UnsafeMutablePointer<SharedBuffer>?, on worker: Worker
    ) -> Bool {
        let block = unsafe worker.compressor.share(
            whole, starts: batch.starts, plain: batch.plain, with: peer, on: worker)
        if let block = unsafe block {
            unsafe give(peer, block, 0..<block.pointee.count, batch.publications, plain: whole, on: worker)
            return true
        }
        guard worker.tracing.covers(peer) else { return false }
        unsafe giveRuns(peer, from: 0, &shared, on: worker)
        return true
    }

    /// Something for an engine was published. It is told when this batch ends, at the latest with the turn.
    @inline(never)
    func ringSoon(for local: WorkerTopic) {
        guard let topic = local.shared else { return }
        if !batch.isOpen { return topic.ring() }
        if awaited.last !== topic { awaited.append(topic) }
    }

    @inline(never)
    private func ringAwaited() {
        for topic in awaited { topic.ring() }
        awaited.removeAll(keepingCapacity: true)
    }

    private func dropBatch() {
        ringAwaited()
        batch.topic = nil
        batch.empty()
    }

    /// The batch in bytes that queues can refer to; made when the first member needs it.
    private func keepBatch(
        _ shared: inout UnsafeMutablePointer<SharedBuffer>?
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        if unsafe shared == nil { unsafe shared = SharedBuffer.copy(UnsafeRawBufferPointer(batch.bytes.bytes)) }
        return unsafe shared
    }

    /// Nothing stands before what it is given, and the kernel was not full.
    private func isIdle(_ peer: ConnectionPointer) -> Bool {
        peer.pointee.outbox.isEmpty && peer.pointee.phase == .open && peer.pointee.transport.isPlain
            && peer.pointee.outbox.isClear
    }

    /// Hands the batch to the kernel where it lies; only what the kernel leaves is kept, once for all members.
    private func writeAtOnce(
        _ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer,
        _ shared: inout UnsafeMutablePointer<SharedBuffer>?, on worker: Worker
    ) {
        var taken = 0
        worker.ledger?.beginWriting(peer, on: worker)
        defer { worker.ledger?.commitWritten(on: worker) }
        switch unsafe peer.pointee.transport.write(bytes) {
        case .moved(let count): taken = count
        case .wouldBlock, .endOfStream: break
        case .failed(let error): return worker.closer.lose(peer, error, on: worker)
        }
        peer.pointee.noteSent(batch.publications)
        peer.pointee.lastMessage = worker.now
        worker.noteWritten(peer, taken)
        if taken < bytes.count { unsafe keepRest(peer, bytes, from: taken, &shared, on: worker) }
    }

    /// Queues what the kernel left of a batch.
    @inline(never)
    private func keepRest(
        _ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer, from taken: Int,
        _ shared: inout UnsafeMutablePointer<SharedBuffer>?, on worker: Worker
    ) {
        peer.pointee.outbox.isBlocked = true
        guard let block = unsafe keepBatch(&shared) else { return worker.closer.lose(peer, Errno(12), on: worker) }
        worker.markDirty(peer)
        if unsafe peer.pointee.binding?.pointee.limits.closesSlowConsumers == false {
            return unsafe queueRest(peer, bytes, from: taken, block, on: worker)
        }
        unsafe block.pointee.retain()
        unsafe peer.pointee.outbox.append(shared: block, from: taken, pool: worker.pool)
        dropIfSlow(peer, on: worker)
    }

    /// Queues what the kernel left of a batch for a member that may miss some of it, but no part of a publication.
    private func queueRest(
        _ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer, from taken: Int,
        _ block: UnsafeMutablePointer<SharedBuffer>, on worker: Worker
    ) {
        guard let most = unsafe peer.pointee.binding?.pointee.limits.sendBuffer else { return }
        let end = batch.starts.first { $0 >= taken } ?? bytes.count
        worker.slowConsumers.noteTaken(peer, upTo: taken, ofFrameEnding: end)
        if batch.starts.count == 1 || bytes.count - taken <= most {
            unsafe block.pointee.retain()
            unsafe peer.pointee.outbox.append(shared: block, from: taken, pool: worker.pool)
        } else {
            peer.pointee.takeBack(batch.publications(in: end..<bytes.count))
            let begun = unsafe UnsafeRawBufferPointer(rebasing: bytes[taken..<end])
            unsafe peer.pointee.outbox.append(begun, pool: worker.pool)
            unsafe giveEach(peer, UnsafeRawBufferPointer(rebasing: bytes[end...]), atMost: most, on: worker)
        }
        worker.slowConsumers.noteQueued(peer, on: worker)
    }

    /// Queues those of some publications that there is room for, each by itself.
    @inline(never)
    private func giveEach(
        _ peer: ConnectionPointer, _ frames: UnsafeRawBufferPointer, atMost most: Int, on worker: Worker
    ) {
        var position = 0
        while position < frames.count, peer.pointee.phase == .open {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: frames[position...])
            let frame = unsafe UnsafeRawBufferPointer(rebasing: rest[..<FrameWriter.length(of: rest)])
            position += frame.count
            guard worker.slowConsumers.hasRoom(peer, for: frame.count, atMost: most, on: worker) else { continue }
            peer.pointee.noteSent(.init(unsafe PublicationBatch.kind(of: frame)))
            peer.pointee.lastMessage = worker.now
            unsafe queueCopy(peer, frame, on: worker)
        }
    }

    /// Queues whole frames, behind an open stream where there is one.
    private func queueCopy(_ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer, on worker: Worker) {
        unsafe worker.tracing.published(peer, bytes, on: worker)
        if peer.pointee.outbox.isStreaming {
            worker.hold(peer) { unsafe $0.append(bytes, pool: worker.pool, size: .small) }
        } else {
            unsafe peer.pointee.outbox.append(bytes, pool: worker.pool)
            worker.markDirty(peer)
        }
    }

    /// More than one publication was left on an empty queue: the limit holds for them as well.
    private func dropIfSlow(_ peer: ConnectionPointer, on worker: Worker) {
        guard batch.starts.count > 1, let binding = unsafe peer.pointee.binding,
            unsafe peer.pointee.outbox.count > binding.pointee.limits.sendBuffer
        else { return }
        worker.closer.closeSlowConsumer(peer, on: worker)
    }

    /// Queues a run of shared bytes within the limits of the member; one that reads too slowly is dropped.
    private func give(
        _ peer: ConnectionPointer, _ shared: UnsafeMutablePointer<SharedBuffer>, _ run: Range<Int>,
        _ publications: PublicationBatch.Tally, plain: UnsafeRawBufferPointer? = nil, on worker: Worker
    ) {
        guard peer.pointee.phase == .open, let most = unsafe peer.pointee.binding?.pointee.limits.sendBuffer else {
            return
        }
        let waiting = worker.unsentBytes(peer)
        if waiting > 0, waiting + run.count > most {
            if publications.messages > 1, unsafe peer.pointee.binding?.pointee.limits.closesSlowConsumers == false {
                let frames = unsafe UnsafeRawBufferPointer(rebasing: shared.pointee.bytes[run])
                unsafe giveEach(peer, frames, atMost: most, on: worker)
                return worker.slowConsumers.noteQueued(peer, on: worker)
            }
            guard worker.slowConsumers.hasRoom(peer, for: run.count, atMost: most, on: worker) else { return }
        }
        peer.pointee.noteSent(publications)
        peer.pointee.lastMessage = worker.now
        if peer.pointee.flags.contains(.inspected) {
            let frames = unsafe UnsafeRawBufferPointer(rebasing: shared.pointee.bytes[run])
            unsafe worker.tracing.published(peer, frames, plain: plain, on: worker)
        }
        unsafe queueRun(peer, shared, run, on: worker)
        worker.slowConsumers.noteQueued(peer, on: worker)
    }

    private func queueRun(
        _ peer: ConnectionPointer, _ shared: UnsafeMutablePointer<SharedBuffer>, _ run: Range<Int>, on worker: Worker
    ) {
        let mustWait = peer.pointee.outbox.isStreaming
        // A reference keeps the whole block: a member that is charged for little of it gets a copy of that.
        if unsafe run.upperBound == shared.pointee.count && run.count * 2 >= shared.pointee.count {
            unsafe shared.pointee.retain()
            if mustWait {
                worker.hold(peer) { unsafe $0.append(shared: shared, from: run.lowerBound, pool: worker.pool) }
            } else {
                unsafe peer.pointee.outbox.append(shared: shared, from: run.lowerBound, pool: worker.pool)
            }
        } else {
            // A reference ends where the block ends; the runs of a member that is excepted in between are copied.
            let bytes = unsafe UnsafeRawBufferPointer(rebasing: shared.pointee.bytes[run])
            if mustWait {
                worker.hold(peer) { unsafe $0.append(bytes, pool: worker.pool, size: .small) }
            } else {
                unsafe peer.pointee.outbox.append(bytes, pool: worker.pool)
            }
        }
        if !mustWait { worker.markDirty(peer) }
    }

    /// What was published before private output goes before it.
    @inline(__always)
    func deliverBatch(_ peer: ConnectionPointer, on worker: Worker) {
        if batch.isOpen, peer.pointee.flags.contains(.member) { deliverOpenBatch(peer, on: worker) }
    }

    private func deliverOpenBatch(_ peer: ConnectionPointer, on worker: Worker) {
        guard let local = batch.topic,
            let membership = peer.pointee.rareState?.memberships.first(where: { $0.topic === local })
        else { return }
        let from = local.members[membership.index].from
        local.members[membership.index].from = batch.bytes.count
        guard let most = unsafe peer.pointee.binding?.pointee.limits.sendBuffer else { return }
        for run in batch.runs(for: peer.pointee.id.number, from: from) {
            if unsafe peer.pointee.binding?.pointee.limits.closesSlowConsumers == false {
                let frames = unsafe UnsafeRawBufferPointer(rebasing: batch.bytes.bytes[run])
                unsafe giveEach(peer, frames, atMost: most, on: worker)
                continue
            }
            // Most wait behind an open stream, for as long as that takes.
            if peer.pointee.outbox.isStreaming, worker.unsentBytes(peer) + run.count > most {
                return worker.closer.noteSlowConsumer(peer)
            }
            let bytes = unsafe UnsafeRawBufferPointer(rebasing: batch.bytes.bytes[run])
            peer.pointee.noteSent(batch.publications(in: run))
            peer.pointee.lastMessage = worker.now
            unsafe queueCopy(peer, bytes, on: worker)
        }
    }
}

extension RareState {
    /// The connection's place in a topic has changed.
    func note(_ local: WorkerTopic, at index: Int) {
        guard let place = memberships.firstIndex(where: { $0.topic === local }) else { return }
        memberships[place].index = index
    }
}
