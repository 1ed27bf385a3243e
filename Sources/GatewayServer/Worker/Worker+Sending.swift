import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import HandlerModules
import Synchronization
import WebSocket

extension Worker {
    /// From so many octets on a payload is handed to the kernel where it lies instead of being copied first.
    private static let directSize = 16 * 1024

    // MARK: Queueing

    /// Puts a connection on the list of those with output.
    @inline(__always)
    func markDirty(_ peer: ConnectionPointer) {
        if peer.pointee.flags.contains(.dirty) { return }
        peer.pointee.flags.insert(.dirty)
        dirty.append(peer.pointee.slot)
    }

    /// Queues one frame. Limits are the caller's affair.
    @inline(__always)
    func queueFrame(
        _ peer: ConnectionPointer, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer
    ) {
        pubSub.settle(peer, on: self)
        let header = FrameWriter(opcode, isFinal: isFinal, payloadLength: payload.count)
        let size: BlockPool.Size = running.connection == peer.pointee.id.number ? .large : .small
        peer.pointee.outbox.append(header: header.low, header.high, count: header.count, pool: pool, size: size)
        if payload.count >= Self.directSize, !peer.pointee.flags.contains(.blocked) {
            unsafe writeThrough(peer, payload)
        } else {
            unsafe peer.pointee.outbox.append(payload, pool: pool, size: size)
        }
        markDirty(peer)
        if !isFinal { peer.pointee.flags.insert(.streaming) } else if opcode == .continuation { endStream(peer) }
    }

    private func endStream(_ peer: ConnectionPointer) {
        peer.pointee.flags.remove(.streaming)
        releaseHeld(peer)
    }

    /// Queues one whole message in shared octets, taking over one ownership.
    func queueShared(_ peer: ConnectionPointer, _ opcode: Opcode, _ shared: UnsafeMutablePointer<SharedBuffer>) {
        pubSub.settle(peer, on: self)
        let header = unsafe FrameWriter(opcode, isFinal: true, payloadLength: shared.pointee.count)
        peer.pointee.outbox.append(header: header.low, header.high, count: header.count, pool: pool, size: .small)
        unsafe peer.pointee.outbox.append(shared: shared, from: 0, pool: pool)
        markDirty(peer)
    }

    /// Offers the kernel the queue and a large payload behind it; only what it leaves of the payload is copied.
    private func writeThrough(_ peer: ConnectionPointer, _ payload: UnsafeRawBufferPointer) {
        let queued = peer.pointee.outbox.count
        var taken = 0
        switch unsafe peer.pointee.transport.write(peer.pointee.outbox, tail: payload) {
        case .moved(let count):
            noteWritten(peer, count)
            peer.pointee.outbox.removeFirst(min(count, queued), pool: pool)
            taken = max(0, count - queued)
            if count < queued + payload.count { peer.pointee.flags.insert(.blocked) }
        case .wouldBlock: peer.pointee.flags.insert(.blocked)
        // The turn's own write meets the same error and deals with it.
        case .endOfStream, .failed: break
        }
        unsafe peer.pointee.outbox.append(UnsafeRawBufferPointer(rebasing: payload[taken...]), pool: pool, size: .large)
    }

    // MARK: What handlers ask for, on the worker's own thread

    /// Queues a message if the route's limit lets it.
    @inline(__always)
    func send(
        _ peer: ConnectionPointer, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer
    ) -> gw_status {
        guard let binding = unsafe peer.pointee.binding else { return Status.closed }
        let queued = peer.pointee.outbox.count
        // Read where it stands: copying all limits for one of them showed in the profile.
        let most = unsafe binding.pointee.limits.sendBuffer
        // Below the high-water mark one message of any size is taken: it may answer one that was read from this peer.
        if queued > most >> 1, queued &+ payload.count > most, !makeRoom(peer, for: payload.count, atMost: most) {
            return Status.closed
        }
        unsafe queueFrame(peer, opcode, isFinal: isFinal, payload)
        if isFinal, opcode.rawValue & 0x8 == 0 {
            peer.pointee.messagesOut &+= 1
            peer.pointee.lastMessage = now
        }
        return pressure(peer, limit: most)
    }

    /// The same with shared octets, one ownership of which is taken over in any case.
    func send(
        _ peer: ConnectionPointer, _ opcode: Opcode, shared: UnsafeMutablePointer<SharedBuffer>
    ) -> gw_status {
        let count = unsafe shared.pointee.count
        guard let most = unsafe peer.pointee.binding?.pointee.limits.sendBuffer else {
            unsafe SharedBuffer.release(shared)
            return Status.closed
        }
        if peer.pointee.outbox.count > most >> 1, peer.pointee.outbox.count + count > most,
            !makeRoom(peer, for: count, atMost: most)
        {
            unsafe SharedBuffer.release(shared)
            return Status.closed
        }
        unsafe queueShared(peer, opcode, shared)
        peer.pointee.messagesOut &+= 1
        peer.pointee.lastMessage = now
        return pressure(peer, limit: most)
    }

    /// The queue is full: maybe only because the turn has not written yet. If the peer really does not read,
    /// `slow_consumer close` ends it, with what was queued going first.
    func makeRoom(_ peer: ConnectionPointer, for octets: Int, atMost most: Int) -> Bool {
        if !peer.pointee.flags.contains(.blocked) { write(peer) }
        let queued = unsentBytes(peer)
        if queued <= most >> 1 || queued + octets <= most { return peer.pointee.phase == .open }
        closer.closeSlowConsumer(peer, on: self)
        return false
    }

    /// What waits in the connection's queue, and behind an open fragment stream.
    func unsentBytes(_ peer: ConnectionPointer) -> Int {
        peer.pointee.outbox.count + (peer.pointee.rareState?.held.count ?? 0)
    }

    @inline(__always)
    private func pressure(_ peer: ConnectionPointer, limit most: Int) -> gw_status {
        let highWater = most >> 1
        if peer.pointee.outbox.count <= highWater { return Status.ok }
        return relievePressure(peer, highWater)
    }

    @inline(never)
    private func relievePressure(_ peer: ConnectionPointer, _ highWater: Int) -> gw_status {
        if !peer.pointee.flags.contains(.blocked) { write(peer) }
        if peer.pointee.outbox.count <= highWater { return Status.ok }
        peer.pointee.flags.insert(.owesDrained)
        return Status.backpressure
    }

    // MARK: Writing

    /// Output of the turn, each connection once.
    func flushDirty() {
        pubSub.closeBatch(isTurnOver: true, on: self)
        closer.closeSlowConsumers(on: self)
        var index = 0
        while index < dirty.count {
            // A flush may call `drained`, which may queue output for anybody: the list grows while it is walked.
            if let peer = table.occupant(dirty[index]), peer.pointee.flags.contains(.dirty) {
                flush(peer)
                updateInterest(peer)
            }
            index += 1
        }
        if index > 0 { dirty.removeAll(keepingCapacity: true) }
    }

    /// The socket takes octets again.
    func writable(_ peer: ConnectionPointer) {
        peer.pointee.flags.remove(.blocked)
        flush(peer)
        updateInterest(peer)
    }

    /// Writes what is queued and does what follows from it.
    func flush(_ peer: ConnectionPointer) {
        peer.pointee.flags.remove(.dirty)
        if !peer.pointee.flags.contains(.blocked) { write(peer) }
        if peer.pointee.phase == .gone { return }
        // Noted before `drained` is called: who sends on from there, on whatever thread, must not be told of what is gone.
        if peer.pointee.outbox.isEmpty {
            if peer.pointee.phase == .ending, peer.pointee.transport.isDrained { return closer.sent(peer, on: self) }
            if peer.pointee.hasNotedQueue { noteQueue(peer) }
        } else {
            noteQueue(peer)
        }
        if !peer.pointee.flags.isDisjoint(with: [.throttled, .owesDrained, .laneThrottled]) { relax(peer) }
    }

    /// Hands the queue to the kernel until it is empty or the kernel has enough; calls no handler.
    @inline(__always)
    func write(_ peer: ConnectionPointer) {
        while !peer.pointee.outbox.isEmpty {
            let queued = peer.pointee.outbox.count
            switch unsafe peer.pointee.transport.write(peer.pointee.outbox) {
            case .moved(let count):
                noteWritten(peer, count)
                if count == queued {
                    peer.pointee.outbox.removeAll(pool: pool)
                    return peer.pointee.transport.isPlain ? () : drain(peer)
                }
                // Many small blocks do not fit one call: less than everything is not yet "full" then.
                peer.pointee.outbox.removeFirst(count, pool: pool)
            case .wouldBlock:
                peer.pointee.flags.insert(.blocked)
                return
            case .endOfStream: return
            case .failed(let error): return closer.lose(peer, error, on: self)
            }
        }
        if !peer.pointee.transport.isPlain { drain(peer) }
    }

    /// The queue is empty; what the layer below keeps of it goes to the kernel as well.
    private func drain(_ peer: ConnectionPointer) {
        switch peer.pointee.transport.flush() {
        case .moved, .endOfStream: break
        case .wouldBlock: peer.pointee.flags.insert(.blocked)
        case .failed(let error): closer.lose(peer, error, on: self)
        }
    }

    @inline(__always)
    func noteWritten(_ peer: ConnectionPointer, _ count: Int) {
        peer.pointee.octetsOut &+= UInt64(truncatingIfNeeded: count)
        if peer.pointee.phase == .open { port.sharedTable[peer.pointee.slot].lastOut.store(now, ordering: .relaxed) }
    }

    /// Below the low-water mark the peer is read from again and the handler hears `drained`.
    func relax(_ peer: ConnectionPointer) {
        let binding = unsafe peer.pointee.binding
        let lowWater = unsafe binding?.pointee.limits.lowWater ?? Self.unreadAnswers / 2
        guard peer.pointee.outbox.count <= lowWater else { return }
        if peer.pointee.flags.contains(.throttled), !peer.pointee.isHeldByLane {
            peer.pointee.flags.remove(.throttled)
            notePause(peer)
            resumeLater(peer)
        }
        if peer.pointee.flags.contains(.laneThrottled) {
            peer.pointee.flags.remove(.laneThrottled)
            peer.pointee.rareState?.lane?.deliverOn()
        }
        guard peer.pointee.flags.contains(.owesDrained), peer.pointee.phase == .open else { return }
        peer.pointee.flags.remove(.owesDrained)
        run(peer, .drained)
    }

    /// Tells other threads how much waits, so that their sends are bounded as well.
    @inline(never)
    func noteQueue(_ peer: ConnectionPointer) {
        guard peer.pointee.phase == .open else { return }
        port.sharedTable[peer.pointee.slot].note(queued: peer.pointee.outbox.count)
        peer.pointee.hasNotedQueue = !peer.pointee.outbox.isEmpty
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
