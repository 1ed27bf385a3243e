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
    func beginClosing(_ peer: ConnectionPlace, code: UInt16, reason: [UInt8], by: UInt16) {
        guard peer.its.phase == .open else { return }
        // RFC 6455 7.4.1: 1011 is "an unexpected condition"; it is what the kits make of an error a callback threw.
        if code == CloseCode.internalError, by == UInt16(GW_BY_HANDLER), let binding = unsafe peer.its.binding {
            unsafe binding.pointee.failures.add(1, ordering: .relaxed)
        }
        if by == UInt16(GW_BY_HANDLER) { cutOffLane(peer) }
        noteEnd(peer, code: code, reason: reason, by: by)
        queueClose(peer, code: code, reason: reason)
        peer.its.phase = .closing
        peer.its.flags.remove(.readingOff)
        peer.its.flags.remove(.throttled)
        if let binding = unsafe peer.its.binding {
            unsafe setDeadline(peer, ticks: binding.pointee.limits.closeTimeout)
        }
        if peer.its.belongings?.peerClose != nil {
            // The peer's has come already.
            peer.its.flags.insert(.clean)
            return end(peer)
        }
        // The peer's Close may lie in input that was held back.
        resumeLater(peer)
    }

    /// A Close frame came (RFC 6455 5.5.1).
    func closeReceived(_ peer: ConnectionPlace, _ body: UnsafeRawBufferPointer) {
        let payload: ClosePayload
        switch unsafe ClosePayload.parse(body) {
        case .success(let parsed): payload = parsed
        case .failure(let violation): return fail(peer, violation)
        }
        if unsafe holdClose(peer, body) { return }
        if peer.its.phase == .open {
            let reason = unsafe Array(body.dropFirst(2))
            noteEnd(peer, code: payload.code, reason: reason, by: UInt16(GW_BY_PEER))
            queueClose(peer, code: payload.code == CloseCode.none ? 0 : payload.code, reason: reason)
        }
        peer.its.flags.insert(.clean)
        end(peer)
    }

    /// The peer broke a rule: the connection fails (RFC 6455 7.1.7).
    func fail(_ peer: ConnectionPlace, _ violation: ProtocolViolation) {
        let reason = violation.reason
        if peer.its.phase == .open {
            let isLimit = violation == .frameTooBig || violation == .messageTooBig
            report(peer, isLimit ? GW_E_LIMIT : GW_E_INVALID, reason)
            // The callback may have closed or aborted.
            if peer.its.phase == .open {
                noteEnd(peer, code: violation.closeCode, reason: Array(reason.utf8), by: UInt16(GW_BY_GATEWAY))
                queueClose(peer, code: violation.closeCode, reason: Array(reason.utf8))
            }
        }
        if peer.its.phase != .gone { end(peer) }
    }

    private func queueClose(_ peer: ConnectionPlace, code: UInt16, reason: [UInt8]) {
        // What other threads were promised goes before it; from here on they are refused.
        if port.board[peer.its.slot].hasMail { catchUp() }
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
    private func noteEnd(_ peer: ConnectionPlace, code: UInt16, reason: [UInt8], by: UInt16) {
        guard peer.its.closeBy == 0 else { return }
        // The header: after the handler's close it is that code, also if the peer then vanished.
        if by == UInt16(GW_BY_TRANSPORT), !port.board.isOpen(peer.its.id),
            let promised = port.promisedEnd(of: peer.its.id)
        {
            return noteEnd(peer, code: promised.code, reason: promised.reason, by: promised.by)
        }
        if by == UInt16(GW_BY_TRANSPORT), let body = peer.its.belongings?.peerClose {
            peer.its.belongings?.peerClose = nil
            let code = unsafe body.withUnsafeBytes { unsafe (try? ClosePayload.parse($0).get())?.code }
            return noteEnd(
                peer, code: code ?? CloseCode.none, reason: Array(body.dropFirst(2)), by: UInt16(GW_BY_PEER))
        }
        leaveTopics(peer)
        port.timers.end(.connection(peer.its.id.number))
        peer.its.closeCode = code == 0 ? CloseCode.none : code
        if !reason.isEmpty { peer.its.itsBelongings.closeReason = reason }
        peer.its.closeBy = UInt8(truncatingIfNeeded: by)
        port.board.withdraw(peer.its.slot)
        port.streams.end(peer.its.id, port)
    }

    // MARK: The transport

    /// Sends what is queued and then the end of our side.
    func end(_ peer: ConnectionPlace) {
        peer.its.phase = .ending
        peer.its.flags.remove(.readingOff)
        peer.its.flags.remove(.throttled)
        peer.its.assembler.clear()
        let closeTimeout = unsafe peer.its.binding?.pointee.limits.closeTimeout ?? routing.handshakeTimeout
        setDeadline(peer, ticks: closeTimeout)
        markDirty(peer)
    }

    /// Everything was sent that will ever be.
    func sent(_ peer: ConnectionPlace) {
        if peer.its.flags.contains(.clean) || peer.its.flags.contains(.inputEnded) { return depart(peer) }
        // Closing a socket with unread input resets the connection, and a reset overtakes what was sent: say that
        // we have ended, and throw input away until the peer has read that.
        peer.its.transport.finishSending()
        peer.its.phase = .lingering
        peer.its.leftover.free()
        setDeadline(peer, ticks: TimerWheel.ticks(milliseconds: Self.lingerMilliseconds))
        sayClosed(peer)
    }

    /// The peer finished sending.
    func inputEnded(_ peer: ConnectionPlace) {
        peer.its.flags.insert(.inputEnded)
        switch peer.its.phase {
        case .open:
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT))
            depart(peer)
        // A client may end its side behind a request and wait for the answer; there will be no other request.
        case .head where !peer.its.outbox.isEmpty: end(peer)
        case .head, .body, .closing, .lingering: depart(peer)
        case .ending: if peer.its.outbox.isEmpty { depart(peer) }
        case .answering, .gone: break
        }
    }

    /// The connection broke.
    func lose(_ peer: ConnectionPlace, _ error: Errno) {
        if peer.its.phase == .gone { return }
        peer.its.osError = UInt8(clamping: error.code)
        if peer.its.phase == .open {
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT))
        }
        depart(peer)
    }

    /// A handler wants it gone without a handshake.
    func abort(_ peer: ConnectionPlace) {
        switch peer.its.phase {
        case .open, .closing, .ending:
            cutOffLane(peer)
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_HANDLER))
            // GW_BY_HANDLER with 1006 also when the closing handshake had begun: abort is what ended it.
            if peer.its.phase == .closing {
                (peer.its.closeCode, peer.its.closeBy) = (CloseCode.abnormal, UInt8(GW_BY_HANDLER))
            }
            peer.its.transport.resetOnClose()
            depart(peer)
        case .head, .body, .answering, .lingering, .gone: break
        }
    }

    /// Nothing more is done for this peer; its slot is emptied at the end of the turn.
    func depart(_ peer: ConnectionPlace) {
        if peer.its.phase == .gone { return }
        // Its answer is on its way here.
        if peer.its.flags.contains(.peerLeft), peer.its.phase == .answering { return }
        if peer.its.phase == .answering, let exchange = peer.its.exchange, server.desk.close(exchange.ticket) {
            // The handler's answer was taken and is on its way here: a connection it accepted is still owed its
            // `open` and `close`, so that the state in the answer can be freed.
            peer.its.flags.insert(.peerLeft)
            peer.its.deadline = 0
            try? poller.remove(peer.its.transport.number)
            wheel.cancel(peer.its.slot)
            return
        }
        if peer.its.phase == .open { noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT)) }
        peer.its.phase = .gone
        goners.append(peer.its.slot)
    }

    /// The peer of a connection that opens only now has gone already.
    func noteDeparture(_ peer: ConnectionPlace) {
        noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT))
        peer.its.phase = .closing
    }

    // MARK: What the handler hears

    /// Tells the handler of an error; `close` follows.
    func report(_ peer: ConnectionPlace, _ status: Int, _ what: String) {
        if peer.its.flags.contains(.opened) { run(peer, .error(gw_status(status), what)) }
    }

    /// Tells of errors that came up where no callback may be called: inside a host function (R1).
    private func reportLate(_ peer: ConnectionPlace) {
        if peer.its.closeBy == UInt8(GW_BY_GATEWAY), peer.its.closeCode == CloseCode.tryAgainLater {
            report(peer, GW_E_LIMIT, "more than send_buffer waits for the peer to read")
        } else if peer.its.osError != 0 {
            report(peer, GW_E_CLOSED, Errno(Int32(peer.its.osError)).description)
        }
    }

    /// Calls `close` of a connection that was opened, the first time it is asked to.
    func sayClosed(_ peer: ConnectionPlace) {
        guard peer.its.flags.contains(.opened) else { return }
        reportLate(peer)
        peer.its.flags.remove(.opened)
        port.board.clear(peer.its.slot)
        logClosed(peer)
        run(peer, .close(Ending(peer)))
    }
}
