import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import HandlerModules
import Synchronization
import WebSocket

extension Worker {
    /// What is read at first of a message that is probably large.
    private static let frontSize = 4096
    /// From so many bytes that are still to come of a frame on, they are received straight into the message.
    private static let directThreshold = 16 * 1024
    /// From so many bytes of answers that are not read on, no further request is answered.
    static let unreadAnswers = 64 * 1024

    /// The socket has something, an end or an error.
    func readable(_ peer: ConnectionPointer, hangUp: Bool) { look(peer, hangUp: hangUp, noting: nil) }

    /// The same where what has been read is written down before anything is done with it.
    @inline(never)
    func readable(_ peer: ConnectionPointer, hangUp: Bool, noting ledger: LedgerPage) {
        look(peer, hangUp: hangUp, noting: ledger)
    }

    @inline(__always)
    private func look(_ peer: ConnectionPointer, hangUp: Bool, noting ledger: LedgerPage?) {
        guard peer.pointee.mayRead else {
            if peer.pointee.phase == .away { return relays.readable(peer, hangUp: hangUp, on: self) }
            // The peer may not be read now: an error or a dead socket would be reported again and again, and the code
            // that switched reading off may not have told the poller, which would report the input for ever.
            if hangUp { closer.lose(peer, Errno(104), on: self) } else { updateInterest(peer) }
            return
        }
        let result: IOResult
        if peer.pointee.reader.remaining >= Self.directThreshold, receivesDirectly(peer) {
            result = receiveDirectly(peer)
        } else {
            result = receive(peer, noting: ledger)
        }
        switch result {
        case .moved, .wouldBlock: break
        case .endOfStream: closer.inputEnded(peer, on: self)
        case .failed(let error): closer.readingFailed(peer, error, on: self)
        }
        if !peer.pointee.transport.isPlain { tendLayer(peer) }
        afterInput(peer)
    }

    /// Reading may have left input in the layer below, of which the poller knows nothing, or made it answer.
    func tendLayer(_ peer: ConnectionPointer) {
        if peer.pointee.phase == .gone { return }
        if peer.pointee.transport.hasFinishedLayer {
            peer.pointee.ownRareState.announced = peer.pointee.transport.announcedAddress
            peer.pointee.transport.removeFinishedLayer()
        }
        if peer.pointee.transport.hasInput { resumeLater(peer) }
        if !peer.pointee.transport.isDrained { markDirty(peer) }
    }

    /// Reads into the worker's buffer, and what belongs to a large message behind that to its place.
    @inline(__always)
    private func receive(_ peer: ConnectionPointer, noting ledger: LedgerPage?) -> IOResult {
        // After a large message another one is likely: here goes only its front, which has to be copied.
        let mayBeLarge = peer.pointee.reader.lastLength >= MessageAssembler.largeSize
        let room = mayBeLarge && !peer.pointee.reader.isCompressed ? Self.frontSize : ReadBuffer.readSize
        let result = unsafe peer.pointee.transport.read(into: input.front(room))
        guard case .moved(let count) = result else { return result }
        if let ledger { unsafe ledger.noteRead(peer, UnsafeRawBufferPointer(input.front(count))) }
        use(peer, count: count)
        guard count == room, peer.pointee.reader.remaining >= Self.directThreshold else { return result }
        // What comes behind the message goes to the read buffer, where answers may lie.
        answer(peer)
        ledger?.readOn(peer, on: self)
        guard peer.pointee.mayRead, receivesDirectly(peer) else { return result }
        let more = receiveDirectly(peer)
        return more == .wouldBlock ? result : more
    }

    /// What a connection got and asked for in its turn goes out at once, while its memory is warm.
    @inline(__always)
    private func afterInput(_ peer: ConnectionPointer) {
        answer(peer)
        if peer.pointee.mayWantAnother { updateInterest(peer) }
    }

    /// Writes, and copies what the kernel did not take of answers that lie in the read buffer: that is used again now.
    @inline(__always)
    private func answer(_ peer: ConnectionPointer) {
        if peer.pointee.flags.contains(.dirty) { flush(peer) }
        if pool.hasInPlaceRun { peer.pointee.outbox.keep(pool: pool) }
    }

    /// Bytes of the socket lie in the read buffer, behind its margin.
    @inline(__always)
    private func use(_ peer: ConnectionPointer, count: Int) {
        peer.pointee.bytesIn &+= UInt64(truncatingIfNeeded: count)
        let left = peer.pointee.leftover.count
        if left == 0 {
            let bytes = unsafe input.front(count)
            var used = 0
            // A message whose callback is to be timed takes the longer way.
            if peer.pointee.phase == .open, !noteInput(peer) { used = unsafe readWholeMessages(peer, bytes) }
            if used < count { unsafe process(peer, UnsafeMutableRawBufferPointer(rebasing: bytes[used...])) }
        } else if left <= ReadBuffer.margin, peer.pointee.phase == .open {
            _ = noteInput(peer)
            // The front of a frame goes before the rest of it, so that the reader sees one run.
            let joined = unsafe input.join(UnsafeRawBufferPointer(peer.pointee.leftover.bytes), with: count)
            peer.pointee.leftover.free()
            unsafe process(peer, joined)
        } else {
            unsafe peer.pointee.leftover.append(UnsafeRawBufferPointer(input.front(count)))
            processLeftover(peer)
        }
    }

    /// Goes on with what was kept; it is taken out of the connection meanwhile, since callbacks run.
    func processLeftover(_ peer: ConnectionPointer) {
        if !peer.pointee.leftover.isEmpty {
            var taken = ByteBuffer()
            swap(&taken, &peer.pointee.leftover)
            let used = unsafe consume(peer, taken.bytes)
            if used < taken.count, peer.pointee.phase != .gone {
                taken.removeFirst(used)
                swap(&taken, &peer.pointee.leftover)
            }
        }
        afterInput(peer)
    }

    /// Uses a run of input and keeps what is left of it.
    @inline(__always)
    private func process(_ peer: ConnectionPointer, _ bytes: UnsafeMutableRawBufferPointer) {
        let used = unsafe consume(peer, bytes)
        if used < bytes.count, peer.pointee.phase != .gone {
            unsafe peer.pointee.leftover.append(UnsafeRawBufferPointer(rebasing: bytes[used...]))
        }
    }

    /// Walks over input as long as the phase of the connection allows.
    ///
    /// - Returns: how many bytes are done with.
    private func consume(_ peer: ConnectionPointer, _ bytes: UnsafeMutableRawBufferPointer) -> Int {
        var position = 0
        while position < bytes.count {
            switch peer.pointee.phase {
            case .open, .closing:
                guard peer.pointee.mayRead, unsafe readFrames(peer, bytes, &position) else { return position }
            case .head:
                guard takesRequests(peer) else { return position }
                guard unsafe responder.readHead(peer, UnsafeRawBufferPointer(bytes), &position, on: self) else {
                    return position
                }
                if position < bytes.count, peer.pointee.flags.contains(.opened) {
                    countBehindHead(peer, bytes.count - position)
                }
            case .body:
                guard unsafe responder.readBody(peer, UnsafeRawBufferPointer(bytes), &position, on: self) else {
                    return position
                }
            case .answering, .away: return position
            case .multiplexed:
                unsafe http2.receive(peer, UnsafeRawBufferPointer(rebasing: bytes[position...]), on: self)
                return bytes.count
            case .ending, .lingering, .gone: return bytes.count
            }
        }
        return position
    }

    /// Whether another request may be answered: not while the peer leaves too much of the answers before it unread.
    private func takesRequests(_ peer: ConnectionPointer) -> Bool {
        if peer.pointee.outbox.count <= Self.unreadAnswers { return true }
        write(peer)
        if peer.pointee.phase != .head || peer.pointee.outbox.count <= Self.unreadAnswers { return true }
        peer.pointee.flags.insert(.throttled)
        return false
    }

    /// Takes frame after frame.
    ///
    /// - Returns: false when more bytes are needed, or input is held back, and the rest has to be kept.
    private func readFrames(
        _ peer: ConnectionPointer, _ bytes: UnsafeMutableRawBufferPointer, _ position: inout Int
    ) -> Bool {
        guard let binding = unsafe peer.pointee.binding else { return false }
        let limits = unsafe binding.pointee.limits.frames
        if peer.pointee.flags.contains(.inspected), tracing.covers(peer) {
            return unsafe readTracedFrames(peer, bytes, &position, limits)
        }
        while position < bytes.count {
            switch unsafe peer.pointee.reader.next(in: bytes, from: &position, limits: limits) {
            case .needMore: return false
            case .piece(let piece):
                let run = unsafe bytes[piece.start..<piece.start &+ piece.count]
                unsafe take(peer, piece, UnsafeMutableRawBufferPointer(rebasing: run))
            case .control(let opcode, let start, let count):
                let run = unsafe bytes[start..<start &+ count]
                unsafe control(peer, opcode, UnsafeRawBufferPointer(rebasing: run))
            case .violation(let violation): closer.fail(peer, violation, on: self)
            }
            if peer.pointee.phase != .open {
                if peer.pointee.phase != .closing { return true }
            } else if !mayGoOn(peer) {
                return false
            }
        }
        return true
    }

    /// The same, and whoever follows the connection is told of each frame before the handler is.
    @inline(never)
    private func readTracedFrames(
        _ peer: ConnectionPointer, _ bytes: UnsafeMutableRawBufferPointer, _ position: inout Int,
        _ limits: FrameReader.Limits
    ) -> Bool {
        while position < bytes.count {
            if peer.pointee.reader.remaining == 0 {
                unsafe tracing.begin(peer, UnsafeRawBufferPointer(rebasing: bytes[position...]))
            }
            switch unsafe peer.pointee.reader.next(in: bytes, from: &position, limits: limits) {
            case .needMore: return false
            case .piece(let piece):
                let run = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: bytes[piece.start..<piece.start &+ piece.count])
                if !piece.isCompressed { unsafe tracing.received(peer, piece, UnsafeRawBufferPointer(run), on: self) }
                unsafe take(peer, piece, run)
                if peer.pointee.phase != .gone { tracing.endPiece(peer, on: self) }
            case .control(let opcode, let start, let count):
                let run = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<start &+ count])
                unsafe tracing.control(peer, opcode, run, on: self)
                unsafe control(peer, opcode, run)
            case .violation(let violation):
                tracing.violated(peer, violation, on: self)
                closer.fail(peer, violation, on: self)
            }
            if peer.pointee.phase != .open {
                if peer.pointee.phase != .closing { return true }
            } else if !mayGoOn(peer) {
                return false
            }
        }
        return true
    }

    /// Whether the next frame may be used now: not when reading is off, nor while the peer leaves too much unread.
    @inline(__always)
    private func mayGoOn(_ peer: ConnectionPointer) -> Bool {
        if !peer.pointee.flags.isDisjoint(with: [.readingOff, .throttled]) { return false }
        guard let binding = unsafe peer.pointee.binding else { return false }
        if unsafe peer.pointee.outbox.count <= binding.pointee.limits.highWater { return true }
        return !throttle(peer)
    }

    /// Tries to get rid of output before input is held back over it.
    ///
    /// - Returns: true when the connection is held back.
    func throttle(_ peer: ConnectionPointer) -> Bool {
        write(peer)
        guard let binding = unsafe peer.pointee.binding, peer.pointee.phase == .open else { return false }
        if unsafe peer.pointee.outbox.count <= binding.pointee.limits.highWater { return false }
        peer.pointee.flags.insert(.throttled)
        slowConsumers.notePause(peer)
        return true
    }

    // MARK: Large frames

    /// The rest of a large frame belongs to the message alone: it needs no stop in the read buffer, unless it has to be
    /// decompressed.
    private func receivesDirectly(_ peer: ConnectionPointer) -> Bool {
        guard peer.pointee.phase == .open, peer.pointee.leftover.isEmpty, !peer.pointee.reader.isCompressed,
            let binding = unsafe peer.pointee.binding
        else { return false }
        return unsafe binding.pointee.handler.fragment == nil
    }

    private func receiveDirectly(_ peer: ConnectionPointer) -> IOResult {
        let wanted = peer.pointee.reader.remaining
        let first = unsafe peer.pointee.assembler.room(for: wanted)
        // What lies behind the frame goes to the read buffer, but only if the frame's end is in reach.
        let behind = first.count == wanted ? ReadBuffer.readSize : 0
        let second = unsafe input.front(behind)
        let result = unsafe peer.pointee.transport.read(into: first, then: second)
        guard case .moved(let count) = result else { return result }
        let direct = min(count, first.count)
        if let ledger {
            let behind = unsafe UnsafeRawBufferPointer(input.front(count - direct))
            unsafe ledger.noteRead(peer, UnsafeRawBufferPointer(rebasing: first[..<direct]), then: behind)
        }
        peer.pointee.bytesIn &+= UInt64(truncatingIfNeeded: count)
        _ = noteInput(peer)
        unsafe takeDirectly(peer, UnsafeMutableRawBufferPointer(rebasing: first[..<direct]))
        if count > direct {
            let behind = unsafe input.front(count - direct)
            // The answer to what has come before may wait.
            if peer.pointee.phase != .open || mayGoOn(peer) {
                unsafe process(peer, behind)
            } else {
                unsafe peer.pointee.leftover.append(UnsafeRawBufferPointer(behind))
            }
        }
        return result
    }

    private func takeDirectly(_ peer: ConnectionPointer, _ bytes: UnsafeMutableRawBufferPointer) {
        let piece = unsafe peer.pointee.reader.take(bytes)
        if peer.pointee.flags.contains(.inspected) {
            unsafe tracing.received(peer, piece, UnsafeRawBufferPointer(bytes), on: self)
        }
        guard peer.pointee.phase == .open, let binding = unsafe peer.pointee.binding else { return }
        let checksText = unsafe !binding.pointee.has(GW_HF_NO_UTF8)
        switch unsafe peer.pointee.assembler.fill(piece, UnsafeRawBufferPointer(bytes), checksText: checksText) {
        case .assembled: deliverAssembled(peer, piece)
        case .invalidUTF8: closer.fail(peer, .invalidUTF8, on: self)
        case .whole, .incomplete: break
        }
    }

    // MARK: Control frames

    private func control(_ peer: ConnectionPointer, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
        switch opcode {
        case .ping: if peer.pointee.phase == .open { unsafe ping(peer, payload) }
        case .pong: if peer.pointee.phase == .open { unsafe pong(peer, payload) }
        case .close: unsafe closer.closeReceived(peer, payload, on: self)
        case .continuation, .text, .binary: break
        }
    }

    private func ping(_ peer: ConnectionPointer, _ payload: UnsafeRawBufferPointer) {
        guard let binding = unsafe peer.pointee.binding else { return }
        if unsafe !binding.pointee.has(GW_HF_MANUAL_PONG) { unsafe answerPing(peer, payload) }
        guard unsafe binding.pointee.handler.ping != nil else { return }
        ledger?.noteCall(peer, on: self)
        unsafe run(peer, .ping(BorrowedBytes(payload)))
    }

    /// From so many bytes that wait on, pings are answered only if the transport takes some.
    private static let unreadPongs = 16 * 1024

    /// RFC 6455 5.5.3: the pong carries the same bytes; of pings that could not be answered yet, the most recent one may be
    /// answered alone. So a peer that asks and does not read costs no more than one pong, and is not read from for long.
    private func answerPing(_ peer: ConnectionPointer, _ payload: UnsafeRawBufferPointer) {
        if !peer.pointee.outbox.isBlocked, peer.pointee.outbox.count >= Self.unreadPongs { write(peer) }
        if peer.pointee.outbox.isBlocked {
            let rareState = peer.pointee.ownRareState
            rareState.unansweredPing = unsafe Array(payload)
            rareState.unansweredPings += 1
            ledger?.noteChange(peer)
            if rareState.asksTooMuch { peer.pointee.flags.insert(.throttled) }
        } else if peer.pointee.phase == .open {
            unsafe queueFrame(peer, .pong, isFinal: true, payload)
        }
    }

    /// The transport takes output again.
    func answerLastPing(_ peer: ConnectionPointer) {
        guard let rareState = peer.pointee.rareState, let payload = rareState.unansweredPing else { return }
        rareState.unansweredPing = nil
        rareState.unansweredPings = 0
        ledger?.noteChange(peer)
        guard peer.pointee.phase == .open else { return }
        unsafe payload.withUnsafeBytes { unsafe queueFrame(peer, .pong, isFinal: true, $0) }
    }

    private func pong(_ peer: ConnectionPointer, _ payload: UnsafeRawBufferPointer) {
        unsafe timers.notePong(peer, payload, on: self)
        guard unsafe peer.pointee.binding?.pointee.handler.pong != nil else { return }
        ledger?.noteCall(peer, on: self)
        unsafe run(peer, .pong(BorrowedBytes(payload)))
    }

    /// Switches reading on or off for a handler; its callback queue is told elsewhere.
    func setReading(_ peer: ConnectionPointer, _ on: Bool) {
        guard peer.pointee.phase == .open else { return }
        if on { peer.pointee.flags.remove(.readingOff) } else { peer.pointee.flags.insert(.readingOff) }
        port.sharedTable[peer.pointee.slot].readingOff.store(!on, ordering: .relaxed)
        ledger?.noteChange(peer)
        // Never from here: a handler that switches reading on in a callback must not be called back inside it.
        if !on { return updateInterest(peer) }
        notePause(peer)
        resumeLater(peer)
    }

    /// The peer was not read from for a while and is again: its pong may lie in what was not read.
    func notePause(_ peer: ConnectionPointer) {
        guard peer.pointee.flags.contains(.pinged), let binding = unsafe peer.pointee.binding else { return }
        peer.pointee.pingDue = unsafe now + binding.pointee.limits.pongTimeout
    }

    /// Held input goes on later in this turn or in the next one.
    func resumeLater(_ peer: ConnectionPointer) {
        if peer.pointee.flags.contains(.resumed) { return }
        peer.pointee.flags.insert(.resumed)
        resumed.append(peer.pointee.slot)
    }
}

extension gw_bytes {
    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe self.init(ptr: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), len: bytes.count)
    }
}
