import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import HandlerModules
import Synchronization
import WebSocket

extension Worker {
    /// From so many bytes on a payload is handed to the kernel where it lies instead of being copied first.
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
    ///
    /// - Parameter isPlain: it is not to be compressed, if it begins a message.
    @inline(__always)
    func queueFrame(
        _ peer: ConnectionPointer, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer,
        isPlain: Bool = false
    ) {
        pubSub.deliverBatch(peer, on: self)
        if peer.pointee.flags.contains(.inspected),
            unsafe compressor.send(peer, opcode, isFinal: isFinal, payload, isPlain: isPlain, on: self)
        {
            return
        }
        unsafe queue(peer, FrameWriter(opcode, isFinal: isFinal, payloadLength: payload.count), payload)
        if peer.pointee.outbox.note(opcode, isFinal: isFinal) { releaseHeld(peer) }
    }

    /// Queues a frame as it goes on the wire.
    @inline(__always)
    func queue(_ peer: ConnectionPointer, _ header: FrameWriter, _ payload: UnsafeRawBufferPointer) {
        if payload.count >= Self.directSize, !peer.pointee.outbox.isBlocked {
            unsafe writeThrough(peer, header, payload)
        } else {
            let size: BlockPool.Size = running.connection == peer.pointee.id.number ? .large : .small
            unsafe peer.pointee.outbox.append(header, payload, pool: pool, size: size)
        }
        markDirty(peer)
    }

    /// Queues one whole message in shared bytes, taking over one ownership.
    func queueShared(
        _ peer: ConnectionPointer, _ opcode: Opcode, _ shared: UnsafeMutablePointer<SharedBuffer>, isPlain: Bool
    ) {
        pubSub.deliverBatch(peer, on: self)
        if peer.pointee.flags.contains(.inspected),
            unsafe compressor.send(
                peer, opcode, isFinal: true, shared.pointee.bytes, isPlain: isPlain, on: self)
        {
            return unsafe SharedBuffer.release(shared)
        }
        let header = unsafe FrameWriter(opcode, isFinal: true, payloadLength: shared.pointee.count)
        unsafe peer.pointee.outbox.append(header, shared: shared, pool: pool)
        markDirty(peer)
    }

    private func writeThrough(_ peer: ConnectionPointer, _ header: FrameWriter, _ payload: UnsafeRawBufferPointer) {
        // Where messages are given up only one may stay because a part of it has left, so each waits in the queue.
        if unsafe peer.pointee.binding?.pointee.limits.dropsOld ?? false {
            return unsafe peer.pointee.outbox.append(header, payload, pool: pool, size: .large)
        }
        let before = peer.pointee.bytesOut
        ledger?.beginWriting(peer, on: self)
        defer { ledger?.commitWritten(on: self) }
        unsafe peer.pointee.outbox.writeThrough(header, payload, to: peer.pointee.transport, pool: pool) { count in
            noteWritten(peer, count)
        }
        // A part of it has left, so it stays, with what stands before it.
        if peer.pointee.outbox.isBlocked, peer.pointee.bytesOut != before, peer.pointee.keepsBorders {
            slowConsumers.beginBorders(peer)
        }
    }

    // MARK: What handlers ask for, on the worker's own thread

    /// Queues a message if the route's limit lets it.
    @inline(__always)
    func send(
        _ peer: ConnectionPointer, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer, isPlain: Bool
    ) -> gw_status {
        guard let binding = unsafe peer.pointee.binding else { return Status.closed }
        let queued = peer.pointee.outbox.count
        // Read where it stands: copying all limits for one of them showed in the profile.
        let most = unsafe binding.pointee.limits.sendBuffer
        if !Outbox.admits(payload.count, behind: queued, atMost: most) {
            return unsafe sendToFull(peer, opcode, isFinal: isFinal, payload, isPlain: isPlain, most)
        }
        unsafe queueFrame(peer, opcode, isFinal: isFinal, payload, isPlain: isPlain)
        if isFinal, opcode.rawValue & 0x8 == 0 {
            peer.pointee.noteSent(kind: peer.pointee.outbox.kind(of: opcode))
            peer.pointee.lastMessage = now
        }
        return pressure(peer, limit: most)
    }

    /// The same where the queue is full.
    @inline(never)
    private func sendToFull(
        _ peer: ConnectionPointer, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer, isPlain: Bool,
        _ most: Int
    ) -> gw_status {
        let room = slowConsumers.makeRoom(peer, for: payload.count, atMost: most, on: self)
        if case .none(let refusal) = room { return refusal }
        unsafe queueFrame(peer, opcode, isFinal: isFinal, payload, isPlain: isPlain)
        if isFinal, opcode.rawValue & 0x8 == 0 {
            peer.pointee.noteSent(kind: peer.pointee.outbox.kind(of: opcode))
            peer.pointee.lastMessage = now
        }
        return room == .cleared ? Status.ok : pressure(peer, limit: most)
    }

    /// The same with shared bytes, one ownership of which is taken over in any case.
    func send(
        _ peer: ConnectionPointer, _ opcode: Opcode, shared: UnsafeMutablePointer<SharedBuffer>, isPlain: Bool
    ) -> gw_status {
        let count = unsafe shared.pointee.count
        guard let most = unsafe peer.pointee.binding?.pointee.limits.sendBuffer else {
            unsafe SharedBuffer.release(shared)
            return Status.closed
        }
        var room = SlowConsumers.Room.enough
        if !Outbox.admits(count, behind: peer.pointee.outbox.count, atMost: most) {
            room = slowConsumers.makeRoom(peer, for: count, atMost: most, on: self)
            if case .none(let refusal) = room {
                unsafe SharedBuffer.release(shared)
                return refusal
            }
        }
        unsafe queueShared(peer, opcode, shared, isPlain: isPlain)
        peer.pointee.noteSent(kind: UInt32(opcode.rawValue))
        peer.pointee.lastMessage = now
        return room == .cleared ? Status.ok : pressure(peer, limit: most)
    }

    /// What waits in the connection's queue, and behind an open fragment stream.
    func unsentBytes(_ peer: ConnectionPointer) -> Int {
        peer.pointee.outbox.count + (peer.pointee.rareState?.held.count ?? 0)
    }

    @inline(__always)
    private func pressure(_ peer: ConnectionPointer, limit most: Int) -> gw_status {
        if peer.pointee.outbox.answer(atMost: most) == .taken { return Status.ok }
        return relievePressure(peer, most)
    }

    /// Maybe only the turn has not written yet.
    @inline(never)
    private func relievePressure(_ peer: ConnectionPointer, _ most: Int) -> gw_status {
        if !peer.pointee.outbox.isBlocked { write(peer) }
        if peer.pointee.outbox.answer(atMost: most) == .taken { return Status.ok }
        peer.pointee.outbox.owesDrained = true
        slowConsumers.noteQueued(peer, on: self)
        return Status.backpressure
    }

    // MARK: Writing

    /// Something waits to be written, or to be queued for that.
    var hasOutput: Bool { !dirty.isEmpty || pubSub.batch.isOpen || http2.hasWork }

    /// Output of the turn, each connection once.
    func flushDirty() {
        pubSub.closeBatch(isTurnOver: true, on: self)
        closer.closeSlowConsumers(on: self)
        var index = 0
        while index < dirty.count || http2.hasWork {
            // Behind the streams, whose output it is.
            if index == dirty.count {
                http2.flush(on: self)
                continue
            }
            // A flush may call `drained`, which may queue output for any connection: the list grows while it is walked.
            if let peer = table.occupant(dirty[index]), peer.pointee.flags.contains(.dirty) {
                flush(peer)
                updateInterest(peer)
            }
            index += 1
        }
        if index > 0 { dirty.removeAll(keepingCapacity: true) }
    }

    /// The socket takes bytes again.
    func writable(_ peer: ConnectionPointer) {
        peer.pointee.outbox.isBlocked = false
        answerLastPing(peer)
        flush(peer)
        if peer.pointee.phase == .multiplexed { http2.resume(peer) }
        if peer.pointee.phase == .away { relays.outputTaken(peer, on: self) }
        updateInterest(peer)
    }

    /// Writes what is queued and does what follows from it.
    func flush(_ peer: ConnectionPointer) {
        peer.pointee.flags.remove(.dirty)
        if peer.pointee.outbox.isWritable { writeQueue(peer) } else { ledger?.flush(peer, on: self) }
        if peer.pointee.phase == .gone { return }
        // Noted before `drained` is called: a sender that goes on from there, on whatever thread, must not be told of
        // what is gone.
        if peer.pointee.outbox.isEmpty {
            if peer.pointee.phase == .ending, peer.pointee.transport.isDrained { return closer.sent(peer, on: self) }
            if peer.pointee.outbox.isNoted { noteQueue(peer) }
        } else {
            noteQueue(peer)
        }
        if peer.pointee.outbox.owesDrained || !peer.pointee.flags.isDisjoint(with: [.throttled, .poolThrottled]) {
            resumeBelowLowWater(peer)
        }
    }

    /// Hands what is queued to the kernel, as far as it takes it; calls no handler.
    @inline(__always)
    func write(_ peer: ConnectionPointer) {
        if peer.pointee.outbox.isRecorded { writeRecorded(peer) } else { writeQueue(peer) }
    }

    @inline(never)
    private func writeRecorded(_ peer: ConnectionPointer) {
        ledger?.beginWriting(peer, on: self)
        writeQueue(peer)
        ledger?.commitWritten(on: self)
    }

    @inline(__always)
    func writeQueue(_ peer: ConnectionPointer) {
        let first = peer.pointee.outbox.writeAtOnce(to: peer.pointee.transport, pool: pool)
        guard case .moved(let count) = first, peer.pointee.outbox.isEmpty else { return writeOn(peer, after: first) }
        noteWritten(peer, count)
    }

    @inline(never)
    private func writeOn(_ peer: ConnectionPointer, after first: IOResult?) {
        let written = peer.pointee.outbox.write(after: first, to: peer.pointee.transport, pool: pool) { count, queue in
            slowConsumers.noteTaken(peer, count, of: queue)
            noteWritten(peer, count)
        }
        if case .failed(let error) = written { closer.lose(peer, error, on: self) }
    }

    @inline(__always)
    func noteWritten(_ peer: ConnectionPointer, _ count: Int) {
        peer.pointee.bytesOut &+= UInt64(truncatingIfNeeded: count)
        if peer.pointee.phase == .open { noteOutput(peer) }
    }

    /// Below the low-water mark the peer is read from again and the handler hears `drained`.
    func resumeBelowLowWater(_ peer: ConnectionPointer) {
        let binding = unsafe peer.pointee.binding
        let lowWater = unsafe binding?.pointee.limits.lowWater ?? Self.unreadAnswers / 2
        guard peer.pointee.outbox.count <= lowWater else { return }
        let waitsForPongs = peer.pointee.outbox.isBlocked && peer.pointee.rareState?.asksTooMuch ?? false
        if peer.pointee.flags.contains(.throttled), !peer.pointee.isHeldByPool, !waitsForPongs {
            peer.pointee.flags.remove(.throttled)
            notePause(peer)
            resumeLater(peer)
        }
        if peer.pointee.flags.contains(.poolThrottled) {
            peer.pointee.flags.remove(.poolThrottled)
            peer.pointee.rareState?.callbacks?.deliverOn()
        }
        guard peer.pointee.outbox.owesDrained, peer.pointee.phase == .open else { return }
        peer.pointee.outbox.owesDrained = false
        ledger?.noteCall(peer, on: self)
        run(peer, .drained)
    }

    /// Tells other threads how much waits, so that their sends are bounded as well.
    @inline(never)
    func noteQueue(_ peer: ConnectionPointer) {
        guard peer.pointee.phase == .open else { return }
        port.sharedTable[peer.pointee.slot].note(queued: peer.pointee.outbox.count)
        peer.pointee.outbox.isNoted = !peer.pointee.outbox.isEmpty
    }

    // MARK: Behind a stream

    func hold(_ peer: ConnectionPointer, _ append: (inout SendQueue) -> Void) {
        let rareState = peer.pointee.ownRareState
        append(&rareState.held)
    }

    /// The stream has ended: what waited for that follows it.
    func releaseHeld(_ peer: ConnectionPointer) {
        guard let rareState = peer.pointee.rareState, !rareState.held.isEmpty, !peer.pointee.outbox.isStreaming else {
            return
        }
        peer.pointee.outbox.append(held: &rareState.held)
        markDirty(peer)
    }
}
