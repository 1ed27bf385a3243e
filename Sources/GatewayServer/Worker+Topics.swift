import Bytes
import CGatewayABI
import GatewayIO
import Synchronization
import WebSocket

extension Worker {
    // MARK: Subscribing

    /// Subscribes an open connection; `topic` has counted it already.
    func subscribe(_ peer: ConnectionPlace, _ topic: Topic) {
        let belongings = peer.its.itsBelongings
        if belongings.memberships.contains(where: { $0.topic.topic.key == topic.key }) {
            return unsubscribed(peer.its.slot, topic)
        }
        let local = topics[topic.key] ?? LocalTopic(topic)
        topics[topic.key] = local
        // What was published before is not for it.
        let from = round.topic === local ? round.octets.count : 0
        belongings.memberships.append(.init(topic: local, index: local.members.count))
        local.members.append(.init(place: peer, from: from))
        peer.its.flags.insert(.member)
    }

    func unsubscribe(_ peer: ConnectionPlace, _ key: TopicKey) {
        guard let belongings = peer.its.belongings,
            let index = belongings.memberships.firstIndex(where: { $0.topic.topic.key == key })
        else { return }
        settle(peer)
        leave(peer, belongings, index)
    }

    /// The connection ends: it gets what was published before, and nothing else.
    func leaveTopics(_ peer: ConnectionPlace) {
        guard let belongings = peer.its.belongings else { return }
        settle(peer)
        while !belongings.memberships.isEmpty { leave(peer, belongings, belongings.memberships.count - 1) }
    }

    private func leave(_ peer: ConnectionPlace, _ belongings: Belongings, _ index: Int) {
        let membership = belongings.memberships.remove(at: index)
        if belongings.memberships.isEmpty { peer.its.flags.remove(.member) }
        let local = membership.topic
        // The last member takes the place that becomes free.
        let moved = local.members.removeLast()
        if membership.index < local.members.count {
            local.members[membership.index] = moved
            moved.place.its.belongings?.note(local, at: membership.index)
        }
        if local.members.isEmpty {
            topics[local.topic.key] = nil
            if round.topic === local { dropRound() }
        }
        unsubscribed(peer.its.slot, local.topic)
    }

    private func unsubscribed(_ slot: UInt32, _ topic: Topic) {
        port.board[slot].topics.subtract(1, ordering: .relaxed)
        server.topics.leave(topic, worker: Int(port.index))
    }

    /// A subscription that another thread asked for and counted.
    func open(subscription topic: Topic, of id: ConnectionID) {
        guard let peer = table.find(slot: id.slot, serial: id.serial), peer.its.phase == .open else {
            return unsubscribed(id.slot, topic)
        }
        subscribe(peer, topic)
    }

    // MARK: Publishing

    /// Takes a publication into the round of its topic.
    ///
    /// - Returns: how many subscribers of this worker get it.
    func publish(
        _ local: LocalTopic, _ header: FrameWriter, _ payload: UnsafeRawBufferPointer, except: UInt64
    ) -> Int {
        openRound(local, room: header.count + payload.count)
        let start = round.octets.count
        unsafe withUnsafeBytes(of: (header.low.littleEndian, header.high.littleEndian)) {
            unsafe round.octets.append(UnsafeRawBufferPointer(rebasing: $0[..<header.count]))
        }
        unsafe round.octets.append(payload)
        return note(start, local, except)
    }

    /// The same with a frame that is shared with other workers.
    func publish(_ local: LocalTopic, _ frame: UnsafeMutablePointer<SharedOctets>, except: UInt64) -> Int {
        let count = unsafe frame.pointee.count
        if count >= Round.large { return unsafe publishAlone(local, frame, except: except) }
        openRound(local, room: count)
        let start = round.octets.count
        unsafe round.octets.append(frame.pointee.octets)
        return note(start, local, except)
    }

    private func openRound(_ local: LocalTopic, room: Int) {
        if let topic = round.topic, topic !== local || round.octets.count + room > Round.most {
            closeRound(isTurnOver: false)
        }
        // Whoever reads too slowly may have been dropped by that, and be the last member.
        round.topic = local
    }

    private func note(_ start: Int, _ local: LocalTopic, _ except: UInt64) -> Int {
        round.starts.append(start)
        guard except != 0, isMember(except, local) else { return local.members.count }
        round.exceptions.append((except, start..<round.octets.count))
        return local.members.count - 1
    }

    private func isMember(_ connection: UInt64, _ local: LocalTopic) -> Bool {
        let id = ConnectionID(connection)
        guard id.worker == Int(port.index), let peer = table.find(slot: id.slot, serial: id.serial) else {
            return false
        }
        return peer.its.belongings?.memberships.contains { $0.topic === local } ?? false
    }

    /// A large publication: each member's queue refers to it.
    private func publishAlone(
        _ local: LocalTopic, _ frame: UnsafeMutablePointer<SharedOctets>, except: UInt64
    ) -> Int {
        closeRound(isTurnOver: false)
        let wasDelivering = isDelivering
        isDelivering = true
        var reached = 0
        var index = local.members.count - 1
        while index >= 0 {
            let peer = local.members[index].place
            if peer.its.id.number != except {
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
        guard let frame = unsafe UnsafeMutablePointer<SharedOctets>(bitPattern: address) else { return }
        unsafe port.publishedOctets.subtract(frame.pointee.count, ordering: .relaxed)
        if let local = topics[topic.key] { _ = unsafe publish(local, frame, except: except) }
        unsafe SharedOctets.release(frame)
    }

    // MARK: Rounds

    /// Gives every member what was published in this round.
    ///
    /// - Parameter isTurnOver: nothing else comes in this turn, so that it may be written at once.
    func closeRound(isTurnOver: Bool) {
        guard let local = round.topic else { return }
        round.topic = nil
        let wasDelivering = isDelivering
        isDelivering = true
        let whole = unsafe UnsafeRawBufferPointer(round.octets.octets)
        var shared: UnsafeMutablePointer<SharedOctets>?
        var index = local.members.count - 1
        while index >= 0 {
            let peer = local.members[index].place
            let from = local.members[index].from
            local.members[index].from = 0
            if isTurnOver, from == 0, round.exceptions.isEmpty, isIdle(peer) {
                unsafe writeAtOnce(peer, whole, &shared)
            } else {
                for run in round.runs(for: peer.its.id.number, from: from) {
                    guard let block = unsafe keepRound(&shared) else { break }
                    unsafe give(peer, block, run, messages: round.publications(in: run))
                }
            }
            index = min(index, local.members.count) - 1
        }
        if let shared = unsafe shared { unsafe SharedOctets.release(shared) }
        round.empty()
        isDelivering = wasDelivering
        closeSlowConsumers()
    }

    private func dropRound() {
        round.topic = nil
        round.empty()
    }

    /// The round in octets that queues can refer to; made when the first member needs it.
    private func keepRound(
        _ shared: inout UnsafeMutablePointer<SharedOctets>?
    ) -> UnsafeMutablePointer<SharedOctets>? {
        if unsafe shared == nil { unsafe shared = SharedOctets.copy(UnsafeRawBufferPointer(round.octets.octets)) }
        return unsafe shared
    }

    /// Nothing stands before what it is given, and the kernel was not full.
    private func isIdle(_ peer: ConnectionPlace) -> Bool {
        peer.its.outbox.isEmpty && peer.its.phase == .open && peer.its.transport.isPlain
            && peer.its.flags.isDisjoint(with: [.blocked, .streaming])
    }

    /// Hands the round to the kernel where it lies; only what the kernel leaves is kept, once for all members.
    private func writeAtOnce(
        _ peer: ConnectionPlace, _ octets: UnsafeRawBufferPointer, _ shared: inout UnsafeMutablePointer<SharedOctets>?
    ) {
        var taken = 0
        switch unsafe peer.its.transport.write(octets) {
        case .moved(let count): taken = count
        case .wouldBlock, .endOfStream: break
        case .failed(let error): return lose(peer, error)
        }
        peer.its.messagesOut &+= UInt64(truncatingIfNeeded: round.starts.count)
        peer.its.lastMessage = now
        noteWritten(peer, taken)
        if taken == octets.count { return }
        peer.its.flags.insert(.blocked)
        guard let block = unsafe keepRound(&shared) else { return lose(peer, Errno(12)) }
        unsafe block.pointee.retain()
        unsafe peer.its.outbox.append(shared: block, from: taken, pool: pool)
        markDirty(peer)
        dropIfSlow(peer)
    }

    /// More than one publication was left on an empty queue: the limit holds for them as well.
    private func dropIfSlow(_ peer: ConnectionPlace) {
        guard round.starts.count > 1, let binding = unsafe peer.its.binding,
            unsafe peer.its.outbox.count > binding.pointee.limits.sendBuffer
        else { return }
        closeSlowConsumer(peer)
    }

    /// Queues a run of shared octets within the limits of the member; who reads too slowly is dropped.
    private func give(
        _ peer: ConnectionPlace, _ shared: UnsafeMutablePointer<SharedOctets>, _ run: Range<Int>, messages: Int
    ) {
        guard peer.its.phase == .open, let most = unsafe peer.its.binding?.pointee.limits.sendBuffer else { return }
        guard hasRoom(peer, for: run.count, atMost: most) else { return }
        peer.its.messagesOut &+= UInt64(truncatingIfNeeded: messages)
        peer.its.lastMessage = now
        unsafe queue(peer, shared, run)
    }

    private func hasRoom(_ peer: ConnectionPlace, for bytes: Int, atMost most: Int) -> Bool {
        let waiting = unsentBytes(peer)
        return waiting == 0 || waiting + bytes <= most || makeRoom(peer, for: bytes, atMost: most)
    }

    private func queue(_ peer: ConnectionPlace, _ shared: UnsafeMutablePointer<SharedOctets>, _ run: Range<Int>) {
        let mustWait = isMidStream(peer)
        // A reference keeps the whole block: whoever is charged for little of it gets a copy of that.
        if unsafe run.upperBound == shared.pointee.count && run.count * 2 >= shared.pointee.count {
            unsafe shared.pointee.retain()
            if mustWait {
                hold(peer) { unsafe $0.append(shared: shared, from: run.lowerBound, pool: pool) }
            } else {
                unsafe peer.its.outbox.append(shared: shared, from: run.lowerBound, pool: pool)
            }
        } else {
            // A reference ends where the block ends; the runs of whoever publishes in between are copied.
            let octets = unsafe UnsafeRawBufferPointer(rebasing: shared.pointee.octets[run])
            if mustWait {
                hold(peer) { unsafe $0.append(octets, pool: pool, size: .small) }
            } else {
                unsafe peer.its.outbox.append(octets, pool: pool, size: .small)
            }
        }
        if !mustWait { markDirty(peer) }
    }

    /// What was published before private output goes before it.
    @inline(__always)
    func settle(_ peer: ConnectionPlace) {
        if round.isOpen, peer.its.flags.contains(.member) { settleRound(peer) }
    }

    private func settleRound(_ peer: ConnectionPlace) {
        guard let local = round.topic,
            let membership = peer.its.belongings?.memberships.first(where: { $0.topic === local })
        else { return }
        let from = local.members[membership.index].from
        local.members[membership.index].from = round.octets.count
        guard let most = unsafe peer.its.binding?.pointee.limits.sendBuffer else { return }
        for run in round.runs(for: peer.its.id.number, from: from) {
            // Most wait behind an open stream, for as long as that takes.
            if isMidStream(peer), unsentBytes(peer) + run.count > most { return slowConsumers.append(peer.its.id) }
            let octets = unsafe UnsafeRawBufferPointer(rebasing: round.octets.octets[run])
            peer.its.messagesOut &+= UInt64(truncatingIfNeeded: round.publications(in: run))
            peer.its.lastMessage = now
            if isMidStream(peer) {
                hold(peer) { unsafe $0.append(octets, pool: pool, size: .small) }
            } else {
                unsafe peer.its.outbox.append(octets, pool: pool, size: .small)
                markDirty(peer)
            }
        }
    }

    // MARK: Behind a stream

    /// A fragmented message to the peer is open: a whole one would end up inside it (RFC 6455 5.4).
    func isMidStream(_ peer: ConnectionPlace) -> Bool { peer.its.flags.contains(.streaming) }

    func hold(_ peer: ConnectionPlace, _ append: (inout SendQueue) -> Void) {
        let belongings = peer.its.itsBelongings
        append(&belongings.held)
    }

    /// The stream has ended: what waited for that follows it.
    func releaseHeld(_ peer: ConnectionPlace) {
        guard let belongings = peer.its.belongings, !belongings.held.isEmpty, !isMidStream(peer) else { return }
        peer.its.outbox.append(&belongings.held)
        markDirty(peer)
    }
}

extension Belongings {
    /// The connection's place in a topic has changed.
    func note(_ local: LocalTopic, at index: Int) {
        guard let place = memberships.firstIndex(where: { $0.topic === local }) else { return }
        memberships[place].index = index
    }
}
