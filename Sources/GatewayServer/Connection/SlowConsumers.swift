import Bytes
import CGatewayABI
import GatewayConfiguration
import Synchronization
import WebSocket

/// What becomes of output for peers that do not read it: `slow_consumer` of their route.
///
/// Up to `send_buffer` everything is queued. Beyond it `close` ends the connection; `drop_new` and `pause_reads` refuse
/// what is new; `drop_old` gives up what has waited longest. Only whole messages are given up, so the stream stays one of
/// whole frames. To find them nothing is noted as they are queued: the queue is read again, from a border that is kept
/// where the kernel takes a part of it.
final class SlowConsumers {
    /// Whether there is room in a full queue.
    enum Room: Equatable {
        case enough
        /// Older messages were given up for it.
        case cleared
        /// What the sender is to be told.
        case none(gw_status)
    }

    // MARK: Room

    /// The queue is full: maybe only because the turn has not written yet. If the peer really does not read, its route
    /// says what happens.
    func makeRoom(_ peer: ConnectionPointer, for bytes: Int, atMost most: Int, on worker: Worker) -> Room {
        if !peer.pointee.outbox.isBlocked { worker.write(peer) }
        guard peer.pointee.phase == .open, let binding = unsafe peer.pointee.binding else {
            return .none(Status.closed)
        }
        let waiting = worker.unsentBytes(peer)
        if Outbox.admits(bytes, behind: waiting, atMost: most) { return .enough }
        switch unsafe binding.pointee.limits.slowConsumer {
        case .close:
            worker.closer.closeSlowConsumer(peer, on: worker)
            return .none(Status.closed)
        case .dropNew: return unsafe refuse(peer, binding, on: worker)
        case .pauseReads:
            pause(peer, on: worker)
            return unsafe refuse(peer, binding, on: worker)
        case .dropOld:
            let tooMany = waiting - max(most >> 1, most - bytes)
            if dropOldest(peer, bytes: tooMany, orNone: true, on: worker) { return .cleared }
            return unsafe refuse(peer, binding, on: worker)
        }
    }

    /// Whether there is room, now or once something was done about it.
    func hasRoom(_ peer: ConnectionPointer, for bytes: Int, atMost most: Int, on worker: Worker) -> Bool {
        if Outbox.admits(bytes, behind: worker.unsentBytes(peer), atMost: most) { return peer.pointee.phase == .open }
        switch makeRoom(peer, for: bytes, atMost: most, on: worker) {
        case .enough, .cleared: return true
        case .none: return false
        }
    }

    /// What comes from another thread was promised, and there is no room for it any more.
    func noteOverrun(_ peer: ConnectionPointer, _ bytes: Int, atMost most: Int, on worker: Worker) {
        // Not in a turn that has not written yet.
        if !peer.pointee.outbox.isBlocked { worker.write(peer) }
        let waiting = worker.unsentBytes(peer)
        guard peer.pointee.phase == .open, let binding = unsafe peer.pointee.binding,
            !Outbox.admits(bytes, behind: waiting, atMost: most)
        else { return }
        switch unsafe binding.pointee.limits.slowConsumer {
        // It goes before the Close.
        case .close: worker.closer.noteSlowConsumer(peer)
        case .dropOld:
            dropOldest(peer, bytes: waiting - max(most >> 1, most - bytes), orNone: false, on: worker)
        // It may be twice `send_buffer` then: as much as the worker has queued, and as much as other threads were promised.
        case .dropNew, .pauseReads: break
        }
    }

    private func refuse(
        _ peer: ConnectionPointer, _ binding: UnsafeMutablePointer<Binding>, on worker: Worker
    ) -> Room {
        unsafe binding.pointee.route.costs.droppedNew.add(1, ordering: .relaxed)
        // Whoever wants to try again hears when.
        peer.pointee.outbox.owesDrained = true
        worker.ledger?.touch(peer)
        return .none(Status.dropped)
    }

    // MARK: pause_reads

    /// So much waits that a peer of a route with `pause_reads` is not read from.
    func noteQueued(_ peer: ConnectionPointer, on worker: Worker) {
        guard let binding = unsafe peer.pointee.binding, unsafe binding.pointee.limits.pausesReads,
            unsafe peer.pointee.outbox.count > binding.pointee.limits.highWater
        else { return }
        pause(peer, on: worker)
    }

    private func pause(_ peer: ConnectionPointer, on worker: Worker) {
        guard peer.pointee.phase == .open, !peer.pointee.flags.contains(.throttled) else { return }
        peer.pointee.flags.insert(.throttled)
        notePause(peer)
        // The poller hears of it when the turn writes.
        worker.markDirty(peer)
    }

    /// The peer is not read from, because it does not read.
    func notePause(_ peer: ConnectionPointer) {
        guard let binding = unsafe peer.pointee.binding, unsafe binding.pointee.limits.pausesReads else {
            return
        }
        unsafe binding.pointee.route.costs.pausedReads.add(1, ordering: .relaxed)
    }

    // MARK: drop_old

    /// Gives up the oldest whole messages that have not begun to leave, of the queue and of what waits behind a stream.
    ///
    /// - Parameter orNone: with fewer bytes than asked for nothing is given up.
    /// - Returns: whether so many bytes were.
    @discardableResult
    func dropOldest(_ peer: ConnectionPointer, bytes wanted: Int, orNone: Bool, on worker: Worker) -> Bool {
        guard wanted > 0 else { return true }
        let rareState = peer.pointee.ownRareState
        // The route compressed each message by what it had sent before, and drops only since its configuration changed.
        if rareState.compression?.keepsSentContext ?? false { return false }
        guard let border = rareState.border else {
            // The route drops only since now: what is queued already is let be.
            beginBorders(peer)
            return false
        }
        let front = peer.pointee.bytesOut
        let offset = border > front ? Int(clamping: border - front) : 0
        let queued = peer.pointee.outbox.messages(from: offset, atLeast: wanted)
        let missing = wanted - queued.bytes
        let held = missing > 0 ? WholeMessages(in: rareState.held, from: 0, atLeast: missing) : WholeMessages()
        let isEnough = held.bytes >= missing
        if orNone, !isEnough { return false }
        if let first = queued.ranges.first {
            peer.pointee.outbox.drop(queued, pool: worker.pool)
            worker.ledger?.noteChange(peer)
            // What stands in front of the first one stays there.
            rareState.border = front &+ UInt64(first.lowerBound)
        }
        if held.count > 0 { held.remove(from: &rareState.held, pool: worker.pool) }
        note(peer, queued.count + held.count, on: worker)
        return isEnough
    }

    /// Gives up everything that has not begun to leave, be it a message or not: nothing but a Close will follow.
    func dropAll(_ peer: ConnectionPointer, on worker: Worker) {
        guard let rareState = peer.pointee.rareState else { return }
        rareState.held.removeAll(pool: worker.pool)
        guard let border = rareState.border else { return }
        let front = peer.pointee.bytesOut
        let dropped = peer.pointee.outbox.dropAll(from: border > front ? Int(clamping: border - front) : 0, worker.pool)
        peer.pointee.noteDropped(dropped)
        worker.ledger?.noteChange(peer)
        if peer.pointee.outbox.isNoted { worker.noteQueue(peer) }
    }

    private func note(_ peer: ConnectionPointer, _ dropped: Int, on worker: Worker) {
        if dropped == 0 { return }
        peer.pointee.noteDropped(dropped)
        unsafe peer.pointee.binding?.pointee.route.costs.droppedOld.add(dropped, ordering: .relaxed)
        if peer.pointee.outbox.isNoted { worker.noteQueue(peer) }
    }

    // MARK: Borders

    /// Everything that is queued now stays; frames follow.
    func beginBorders(_ peer: ConnectionPointer) {
        peer.pointee.ownRareState.border =
            peer.pointee.bytesOut &+ UInt64(truncatingIfNeeded: peer.pointee.outbox.count)
    }

    /// The connection opens or has another binding: borders are kept where messages may be given up.
    func follow(_ binding: UnsafeMutablePointer<Binding>, _ peer: ConnectionPointer, on worker: Worker) {
        guard unsafe binding.pointee.limits.dropsOld || worker.routing.maxMemory != nil,
            peer.pointee.rareState?.border == nil
        else { return }
        beginBorders(peer)
    }

    /// The transport takes a part of the queue, which is still as it was.
    func noteTaken(_ peer: ConnectionPointer, _ count: Int, of queue: borrowing SendQueue) {
        guard count < queue.count, let rareState = peer.pointee.rareState, let border = rareState.border else { return }
        let front = peer.pointee.bytesOut
        let known = border > front ? Int(clamping: border - front) : 0
        if known >= count { return }
        var cursor = queue.cursor
        guard cursor.skip(known) else { return }
        while cursor.position < count, cursor.nextFrame() != nil {}
        rareState.border = front &+ UInt64(truncatingIfNeeded: cursor.position)
    }

    /// A part of frames that lie elsewhere has been taken; the rest is what is queued.
    ///
    /// - Parameter end: where the frame ends that the transport is in the middle of.
    func noteTaken(_ peer: ConnectionPointer, upTo taken: Int, ofFrameEnding end: Int) {
        guard let rareState = peer.pointee.rareState, rareState.border != nil else { return }
        rareState.border = peer.pointee.bytesOut &+ UInt64(truncatingIfNeeded: end - taken)
    }
}

extension Connection {
    /// Whether messages to it may be given up.
    var keepsBorders: Bool { rareState?.border != nil }
}
