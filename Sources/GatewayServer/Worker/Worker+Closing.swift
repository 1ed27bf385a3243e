import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import HandlerModules
import Synchronization
import WebSocket

extension Worker {
    /// How long the end of our side may wait for the end of the peer's.
    private static let lingerMilliseconds: Int64 = 2000

    // MARK: WebSocket

    /// Begins the closing handshake behind what is queued (RFC 6455 7.1.2). Does nothing unless open.
    func beginClosing(_ peer: ConnectionPointer, code: UInt16, reason: [UInt8], by: UInt16) {
        guard peer.pointee.phase == .open else { return }
        // RFC 6455 7.4.1: 1011 is "an unexpected condition"; it is what the kits make of an error a callback threw.
        if code == CloseCode.internalError, by == UInt16(GW_BY_HANDLER), let binding = unsafe peer.pointee.binding {
            unsafe binding.pointee.failures.add(1, ordering: .relaxed)
        }
        if by == UInt16(GW_BY_HANDLER) { cutOffLane(peer) }
        noteEnd(peer, code: code, reason: reason, by: by)
        queueClose(peer, code: code, reason: reason)
        peer.pointee.phase = .closing
        peer.pointee.flags.remove(.readingOff)
        peer.pointee.flags.remove(.throttled)
        if let binding = unsafe peer.pointee.binding {
            unsafe setDeadline(peer, ticks: binding.pointee.limits.closeTimeout)
        }
        if peer.pointee.rareState?.peerClose != nil {
            // The peer's has come already.
            peer.pointee.flags.insert(.clean)
            return end(peer)
        }
        // The peer's Close may lie in input that was held back.
        resumeLater(peer)
    }

    /// A Close frame came (RFC 6455 5.5.1).
    func closeReceived(_ peer: ConnectionPointer, _ body: UnsafeRawBufferPointer) {
        switch unsafe ClosePayload.parse(body) {
        case .success: if unsafe !holdClose(peer, body) { unsafe answerClose(peer, body) }
        case .failure(let violation): fail(peer, violation)
        }
    }

    /// Answers the peer's Close, whose body has been found to be one, and ends the connection.
    func answerClose(_ peer: ConnectionPointer, _ body: UnsafeRawBufferPointer) {
        guard case .success(let payload) = unsafe ClosePayload.parse(body) else { return }
        if peer.pointee.phase == .open {
            let reason = unsafe Array(body.dropFirst(2))
            noteEnd(peer, code: payload.code, reason: reason, by: UInt16(GW_BY_PEER))
            queueClose(peer, code: payload.code == CloseCode.none ? 0 : payload.code, reason: reason)
        }
        peer.pointee.flags.insert(.clean)
        end(peer)
    }

    /// The peer broke a rule: the connection fails (RFC 6455 7.1.7).
    func fail(_ peer: ConnectionPointer, _ violation: ProtocolViolation) {
        let reason = violation.reason
        if peer.pointee.phase == .open {
            let isLimit = violation == .frameTooBig || violation == .messageTooBig
            report(peer, isLimit ? GW_E_LIMIT : GW_E_INVALID, reason)
            // The callback may have closed or aborted.
            if peer.pointee.phase == .open {
                noteEnd(peer, code: violation.closeCode, reason: Array(reason.utf8), by: UInt16(GW_BY_GATEWAY))
                queueClose(peer, code: violation.closeCode, reason: Array(reason.utf8))
            }
        }
        if peer.pointee.phase != .gone { end(peer) }
    }

    private func queueClose(_ peer: ConnectionPointer, code: UInt16, reason: [UInt8]) {
        // What other threads were promised goes before it; from here on they are refused.
        if port.sharedTable[peer.pointee.slot].hasMail { catchUp() }
        var body: [UInt8] = []
        if code != 0 {
            body.reserveCapacity(2 + reason.count)
            body.append(UInt8(truncatingIfNeeded: code >> 8))
            body.append(UInt8(truncatingIfNeeded: code))
            body.append(contentsOf: reason.prefix(ClosePayload.maximumReason))
        }
        unsafe body.withUnsafeBytes { unsafe queueFrame(peer, .close, isFinal: true, $0) }
    }

    /// Writes down why a connection ends, once, and makes it closed to everybody who would send.
    private func noteEnd(_ peer: ConnectionPointer, code: UInt16, reason: [UInt8], by: UInt16) {
        guard peer.pointee.closeBy == 0 else { return }
        // The header: after the handler's close it is that code, also if the peer then vanished.
        if by == UInt16(GW_BY_TRANSPORT), !port.sharedTable.isOpen(peer.pointee.id),
            let promised = port.promisedEnd(of: peer.pointee.id)
        {
            return noteEnd(peer, code: promised.code, reason: promised.reason, by: promised.by)
        }
        if by == UInt16(GW_BY_TRANSPORT), let body = peer.pointee.rareState?.peerClose {
            peer.pointee.rareState?.peerClose = nil
            let code = unsafe body.withUnsafeBytes { unsafe (try? ClosePayload.parse($0).get())?.code }
            return noteEnd(
                peer, code: code ?? CloseCode.none, reason: Array(body.dropFirst(2)), by: UInt16(GW_BY_PEER))
        }
        leaveTopics(peer)
        port.timers.end(.connection(peer.pointee.id.number))
        peer.pointee.closeCode = code == 0 ? CloseCode.none : code
        if !reason.isEmpty { peer.pointee.ownRareState.closeReason = reason }
        peer.pointee.closeBy = UInt8(truncatingIfNeeded: by)
        port.sharedTable.withdraw(peer.pointee.slot)
        port.streams.end(peer.pointee.id, port)
    }

    // MARK: The transport

    /// Sends what is queued and then the end of our side.
    func end(_ peer: ConnectionPointer) {
        peer.pointee.phase = .ending
        peer.pointee.flags.remove(.readingOff)
        peer.pointee.flags.remove(.throttled)
        peer.pointee.assembler.clear()
        let closeTimeout = unsafe peer.pointee.binding?.pointee.limits.closeTimeout ?? routing.handshakeTimeout
        setDeadline(peer, ticks: closeTimeout)
        markDirty(peer)
    }

    /// Everything was sent that will ever be.
    func sent(_ peer: ConnectionPointer) {
        if peer.pointee.flags.contains(.clean) || peer.pointee.flags.contains(.inputEnded) { return teardown(peer) }
        // Closing a socket with unread input resets the connection, and a reset overtakes what was sent: say that
        // we have ended, and throw input away until the peer has read that.
        peer.pointee.transport.finishSending()
        peer.pointee.phase = .lingering
        peer.pointee.leftover.free()
        setDeadline(peer, ticks: TimerWheel.ticks(milliseconds: Self.lingerMilliseconds))
        sayClosed(peer)
    }

    /// The peer finished sending.
    func inputEnded(_ peer: ConnectionPointer) {
        peer.pointee.flags.insert(.inputEnded)
        switch peer.pointee.phase {
        case .open:
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT))
            teardown(peer)
        // A client may end its side behind a request and wait for the answer; there will be no other request.
        case .head where !peer.pointee.outbox.isEmpty: end(peer)
        case .head, .body, .closing, .lingering: teardown(peer)
        case .ending: if peer.pointee.outbox.isEmpty { teardown(peer) }
        case .answering, .gone: break
        }
    }

    /// The connection broke.
    func lose(_ peer: ConnectionPointer, _ error: Errno) {
        if peer.pointee.phase == .gone { return }
        peer.pointee.osError = UInt8(clamping: error.code)
        if peer.pointee.phase == .open {
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT))
        }
        teardown(peer)
    }

    /// A handler wants it gone without a handshake.
    func abort(_ peer: ConnectionPointer) {
        switch peer.pointee.phase {
        case .open, .closing, .ending:
            cutOffLane(peer)
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_HANDLER))
            // GW_BY_HANDLER with 1006 also when the closing handshake had begun: abort is what ended it.
            if peer.pointee.phase == .closing {
                (peer.pointee.closeCode, peer.pointee.closeBy) = (CloseCode.abnormal, UInt8(GW_BY_HANDLER))
            }
            peer.pointee.transport.resetOnClose()
            teardown(peer)
        case .head, .body, .answering, .lingering, .gone: break
        }
    }

    /// Nothing more is done for this peer; its slot is emptied at the end of the turn.
    func teardown(_ peer: ConnectionPointer) {
        if peer.pointee.phase == .gone { return }
        // Its answer is on its way here.
        if peer.pointee.flags.contains(.peerLeft), peer.pointee.phase == .answering { return }
        if peer.pointee.phase == .answering, let exchange = peer.pointee.exchange,
            server.pendingReplies.close(exchange.ticket)
        {
            // The handler's answer was taken and is on its way here: a connection it accepted is still owed its
            // `open` and `close`, so that the state in the answer can be freed.
            peer.pointee.flags.insert(.peerLeft)
            peer.pointee.deadline = 0
            try? poller.remove(peer.pointee.transport.number)
            wheel.cancel(peer.pointee.slot)
            return
        }
        if peer.pointee.phase == .open {
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT))
        }
        peer.pointee.phase = .gone
        closedSlots.append(peer.pointee.slot)
    }

    /// The peer of a connection that opens only now has gone already.
    func noteTeardown(_ peer: ConnectionPointer) {
        noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT))
        peer.pointee.phase = .closing
    }

    // MARK: What the handler hears

    /// Tells the handler of an error; `close` follows.
    func report(_ peer: ConnectionPointer, _ status: Int, _ what: String) {
        if peer.pointee.flags.contains(.opened) { run(peer, .error(gw_status(status), what)) }
    }

    /// Tells of errors that came up where no callback may be called: inside a host function (R1).
    private func reportLate(_ peer: ConnectionPointer) {
        if peer.pointee.closeBy == UInt8(GW_BY_GATEWAY), peer.pointee.closeCode == CloseCode.tryAgainLater {
            report(peer, GW_E_LIMIT, "more than send_buffer waits for the peer to read")
        } else if peer.pointee.osError != 0 {
            report(peer, GW_E_CLOSED, Errno(Int32(peer.pointee.osError)).description)
        }
    }

    /// Calls `close` of a connection that was opened, the first time it is asked to.
    func sayClosed(_ peer: ConnectionPointer) {
        guard peer.pointee.flags.contains(.opened) else { return }
        reportLate(peer)
        peer.pointee.flags.remove(.opened)
        port.sharedTable.clear(peer.pointee.slot)
        logClosed(peer)
        run(peer, .close(Ending(peer)))
    }
}
