import Bytes
import CGatewayABI
import GatewayIO
import Synchronization
import WebSocket

extension Worker {
    // MARK: Subscribing

    /// Subscribes an open connection; `topic` has counted it already.
    func subscribe(_ peer: ConnectionPointer, _ topic: Topic) {
        let rareState = peer.pointee.ownRareState
        if rareState.memberships.contains(where: { $0.topic.topic.key == topic.key }) {
            return unsubscribed(peer.pointee.slot, topic)
        }
        let local = topics[topic.key] ?? WorkerTopic(topic)
        topics[topic.key] = local
        // What was published before is not for it.
        let from = batch.topic === local ? batch.octets.count : 0
        rareState.memberships.append(.init(topic: local, index: local.members.count))
        local.members.append(.init(place: peer, from: from))
        peer.pointee.flags.insert(.member)
    }

    func unsubscribe(_ peer: ConnectionPointer, _ key: TopicKey) {
        guard let rareState = peer.pointee.rareState,
            let index = rareState.memberships.firstIndex(where: { $0.topic.topic.key == key })
        else { return }
        settle(peer)
        leave(peer, rareState, index)
    }

    /// The connection ends: it gets what was published before, and nothing else.
    func leaveTopics(_ peer: ConnectionPointer) {
        guard let rareState = peer.pointee.rareState else { return }
        settle(peer)
        while !rareState.memberships.isEmpty { leave(peer, rareState, rareState.memberships.count - 1) }
    }

    private func leave(_ peer: ConnectionPointer, _ rareState: RareState, _ index: Int) {
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
        unsubscribed(peer.pointee.slot, local.topic)
    }

    private func unsubscribed(_ slot: UInt32, _ topic: Topic) {
        port.sharedTable[slot].topics.subtract(1, ordering: .relaxed)
        server.topics.leave(topic, worker: Int(port.index))
    }

    /// A subscription that another thread asked for and counted.
    func open(subscription topic: Topic, of id: ConnectionID) {
        guard let peer = table.find(slot: id.slot, serial: id.serial), peer.pointee.phase == .open else {
            return unsubscribed(id.slot, topic)
        }
        subscribe(peer, topic)
    }

    // MARK: Publishing

    /// Takes a publication into the batch of its topic.
    ///
    /// - Returns: how many subscribers of this worker get it.
    func publish(
        _ local: WorkerTopic, _ header: FrameWriter, _ payload: UnsafeRawBufferPointer, except: UInt64
    ) -> Int {
        openBatch(local, room: header.count + payload.count)
        let start = batch.octets.count
        unsafe withUnsafeBytes(of: (header.low.littleEndian, header.high.littleEndian)) {
            unsafe batch.octets.append(UnsafeRawBufferPointer(rebasing: $0[..<header.count]))
        }
        unsafe batch.octets.append(payload)
        return note(start, local, except)
    }

    /// The same with a frame that is shared with other workers.
    func publish(_ local: WorkerTopic, _ frame: UnsafeMutablePointer<SharedBuffer>, except: UInt64) -> Int {
        let count = unsafe frame.pointee.count
        if count >= PublicationBatch.large { return unsafe publishAlone(local, frame, except: except) }
        openBatch(local, room: count)
        let start = batch.octets.count
        unsafe batch.octets.append(frame.pointee.octets)
        return note(start, local, except)
    }

    private func openBatch(_ local: WorkerTopic, room: Int) {
        if let topic = batch.topic, topic !== local || batch.octets.count + room > PublicationBatch.most {
            closeBatch(isTurnOver: false)
        }
        // Whoever reads too slowly may have been dropped by that, and be the last member.
        batch.topic = local
    }

    private func note(_ start: Int, _ local: WorkerTopic, _ except: UInt64) -> Int {
        batch.starts.append(start)
        guard except != 0, isMember(except, local) else { return local.members.count }
        batch.exceptions.append((except, start..<batch.octets.count))
        return local.members.count - 1
    }

    private func isMember(_ connection: UInt64, _ local: WorkerTopic) -> Bool {
        let id = ConnectionID(connection)
        guard id.worker == Int(port.index), let peer = table.find(slot: id.slot, serial: id.serial) else {
            return false
        }
        return peer.pointee.rareState?.memberships.contains { $0.topic === local } ?? false
    }

    /// A large publication: each member's queue refers to it.
    private func publishAlone(
        _ local: WorkerTopic, _ frame: UnsafeMutablePointer<SharedBuffer>, except: UInt64
    ) -> Int {
        closeBatch(isTurnOver: false)
        let wasDelivering = isDelivering
        isDelivering = true
        var reached = 0
        var index = local.members.count - 1
        while index >= 0 {
            let peer = local.members[index].place
            if peer.pointee.id.number != except {
                unsafe give(peer, frame, 0..<frame.pointee.count, messages: 1)
                reached += 1
            }
            // A member that has broken is gone and the last one takes its place: that one has been served already.
            index = min(index, local.members.count) - 1
        }
        isDelivering = wasDelivering
        closeSlowConsumers()
        return reached
    }

    /// A publication of another thread.
    func open(publication topic: Topic, _ address: UInt, except: UInt64) {
        guard let frame = unsafe UnsafeMutablePointer<SharedBuffer>(bitPattern: address) else { return }
        unsafe port.publishedOctets.subtract(frame.pointee.count, ordering: .relaxed)
        if let local = topics[topic.key] { _ = unsafe publish(local, frame, except: except) }
        unsafe SharedBuffer.release(frame)
    }

    // MARK: Rounds

    /// Gives every member what was published in this batch.
    ///
    /// - Parameter isTurnOver: nothing else comes in this turn, so that it may be written at once.
    func closeBatch(isTurnOver: Bool) {
        guard let local = batch.topic else { return }
        batch.topic = nil
        let wasDelivering = isDelivering
        isDelivering = true
        let whole = unsafe UnsafeRawBufferPointer(batch.octets.octets)
        var shared: UnsafeMutablePointer<SharedBuffer>?
        var index = local.members.count - 1
        while index >= 0 {
            let peer = local.members[index].place
            let from = local.members[index].from
            local.members[index].from = 0
            if isTurnOver, from == 0, batch.exceptions.isEmpty, isIdle(peer) {
                unsafe writeAtOnce(peer, whole, &shared)
            } else {
                for run in batch.runs(for: peer.pointee.id.number, from: from) {
                    guard let block = unsafe keepBatch(&shared) else { break }
                    unsafe give(peer, block, run, messages: batch.publications(in: run))
                }
            }
            index = min(index, local.members.count) - 1
        }
        if let shared = unsafe shared { unsafe SharedBuffer.release(shared) }
        batch.empty()
        isDelivering = wasDelivering
        closeSlowConsumers()
    }

    private func dropBatch() {
        batch.topic = nil
        batch.empty()
    }

    /// The batch in octets that queues can refer to; made when the first member needs it.
    private func keepBatch(
        _ shared: inout UnsafeMutablePointer<SharedBuffer>?
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        if unsafe shared == nil { unsafe shared = SharedBuffer.copy(UnsafeRawBufferPointer(batch.octets.octets)) }
        return unsafe shared
    }

    /// Nothing stands before what it is given, and the kernel was not full.
    private func isIdle(_ peer: ConnectionPointer) -> Bool {
        peer.pointee.outbox.isEmpty && peer.pointee.phase == .open && peer.pointee.transport.isPlain
            && peer.pointee.flags.isDisjoint(with: [.blocked, .streaming])
    }

    /// Hands the batch to the kernel where it lies; only what the kernel leaves is kept, once for all members.
    private func writeAtOnce(
        _ peer: ConnectionPointer, _ octets: UnsafeRawBufferPointer, _ shared: inout UnsafeMutablePointer<SharedBuffer>?
    ) {
        var taken = 0
        switch unsafe peer.pointee.transport.write(octets) {
        case .moved(let count): taken = count
        case .wouldBlock, .endOfStream: break
        case .failed(let error): return lose(peer, error)
        }
        peer.pointee.messagesOut &+= UInt64(truncatingIfNeeded: batch.starts.count)
        peer.pointee.lastMessage = now
        noteWritten(peer, taken)
        if taken == octets.count { return }
        peer.pointee.flags.insert(.blocked)
        guard let block = unsafe keepBatch(&shared) else { return lose(peer, Errno(12)) }
        unsafe block.pointee.retain()
        unsafe peer.pointee.outbox.append(shared: block, from: taken, pool: pool)
        markDirty(peer)
        dropIfSlow(peer)
    }

    /// More than one publication was left on an empty queue: the limit holds for them as well.
    private func dropIfSlow(_ peer: ConnectionPointer) {
        guard batch.starts.count > 1, let binding = unsafe peer.pointee.binding,
            unsafe peer.pointee.outbox.count > binding.pointee.limits.sendBuffer
        else { return }
        closeSlowConsumer(peer)
    }

    /// Queues a run of shared octets within the limits of the member; who reads too slowly is dropped.
    private func give(
        _ peer: ConnectionPointer, _ shared: UnsafeMutablePointer<SharedBuffer>, _ run: Range<Int>, messages: Int
    ) {
        guard peer.pointee.phase == .open, let most = unsafe peer.pointee.binding?.pointee.limits.sendBuffer else {
            return
        }
        guard hasRoom(peer, for: run.count, atMost: most) else { return }
        peer.pointee.messagesOut &+= UInt64(truncatingIfNeeded: messages)
        peer.pointee.lastMessage = now
        unsafe queue(peer, shared, run)
    }

    private func hasRoom(_ peer: ConnectionPointer, for bytes: Int, atMost most: Int) -> Bool {
        let waiting = unsentBytes(peer)
        return waiting == 0 || waiting + bytes <= most || makeRoom(peer, for: bytes, atMost: most)
    }

    private func queue(_ peer: ConnectionPointer, _ shared: UnsafeMutablePointer<SharedBuffer>, _ run: Range<Int>) {
        let mustWait = isMidStream(peer)
        // A reference keeps the whole block: whoever is charged for little of it gets a copy of that.
        if unsafe run.upperBound == shared.pointee.count && run.count * 2 >= shared.pointee.count {
            unsafe shared.pointee.retain()
            if mustWait {
                hold(peer) { unsafe $0.append(shared: shared, from: run.lowerBound, pool: pool) }
            } else {
                unsafe peer.pointee.outbox.append(shared: shared, from: run.lowerBound, pool: pool)
            }
        } else {
            // A reference ends where the block ends; the runs of whoever publishes in between are copied.
            let octets = unsafe UnsafeRawBufferPointer(rebasing: shared.pointee.octets[run])
            if mustWait {
                hold(peer) { unsafe $0.append(octets, pool: pool, size: .small) }
            } else {
                unsafe peer.pointee.outbox.append(octets, pool: pool, size: .small)
            }
        }
        if !mustWait { markDirty(peer) }
    }

    /// What was published before private output goes before it.
    @inline(__always)
    func settle(_ peer: ConnectionPointer) {
        if batch.isOpen, peer.pointee.flags.contains(.member) { settleBatch(peer) }
    }

    private func settleBatch(_ peer: ConnectionPointer) {
        guard let local = batch.topic,
            let membership = peer.pointee.rareState?.memberships.first(where: { $0.topic === local })
        else { return }
        let from = local.members[membership.index].from
        local.members[membership.index].from = batch.octets.count
        guard let most = unsafe peer.pointee.binding?.pointee.limits.sendBuffer else { return }
        for run in batch.runs(for: peer.pointee.id.number, from: from) {
            // Most wait behind an open stream, for as long as that takes.
            if isMidStream(peer), unsentBytes(peer) + run.count > most { return slowConsumers.append(peer.pointee.id) }
            let octets = unsafe UnsafeRawBufferPointer(rebasing: batch.octets.octets[run])
            peer.pointee.messagesOut &+= UInt64(truncatingIfNeeded: batch.publications(in: run))
            peer.pointee.lastMessage = now
            if isMidStream(peer) {
                hold(peer) { unsafe $0.append(octets, pool: pool, size: .small) }
            } else {
                unsafe peer.pointee.outbox.append(octets, pool: pool, size: .small)
                markDirty(peer)
            }
        }
    }

    // MARK: Behind a stream

    /// A fragmented message to the peer is open: a whole one would end up inside it (RFC 6455 5.4).
    func isMidStream(_ peer: ConnectionPointer) -> Bool { peer.pointee.flags.contains(.streaming) }

    func hold(_ peer: ConnectionPointer, _ append: (inout SendQueue) -> Void) {
        let rareState = peer.pointee.ownRareState
        append(&rareState.held)
    }

    /// The stream has ended: what waited for that follows it.
    func releaseHeld(_ peer: ConnectionPointer) {
        guard let rareState = peer.pointee.rareState, !rareState.held.isEmpty, !isMidStream(peer) else { return }
        peer.pointee.outbox.append(&rareState.held)
        markDirty(peer)
    }
}

extension RareState {
    /// The connection's place in a topic has changed.
    func note(_ local: WorkerTopic, at index: Int) {
        guard let place = memberships.firstIndex(where: { $0.topic === local }) else { return }
        memberships[place].index = index
    }
}
