import Bytes
import CGatewayABI
import GatewayIO
import Synchronization
import WebSocket

extension Worker {
    /// Arms the timer of a connection for whatever comes first. Traffic does not come here: it stores the time,
    /// and the timer that fires too early is moved on.
    func schedule(_ peer: ConnectionPlace) {
        var next = peer.its.deadline == 0 ? UInt32.max : peer.its.deadline
        if peer.its.phase == .open, let binding = unsafe peer.its.binding {
            if peer.its.pingDue != 0 { next = min(next, peer.its.pingDue) }
            let idle = unsafe binding.pointee.limits.idleTimeout
            if idle != 0 { next = min(next, peer.its.lastMessage + idle) }
        }
        if next == .max { wheel.cancel(peer.its.slot) } else { wheel.arm(peer.its.slot, at: next) }
    }

    /// Sets the time by which the phase must be over; 0 ticks for never.
    func setDeadline(_ peer: ConnectionPlace, ticks: UInt32) {
        peer.its.deadline = ticks == 0 ? 0 : now + ticks
        peer.its.mark = UInt32(truncatingIfNeeded: peer.its.octetsOut)
        schedule(peer)
    }

    /// The timer of a connection went off.
    func expire(_ peer: ConnectionPlace) {
        let isOver = peer.its.deadline != 0 && now >= peer.its.deadline
        switch peer.its.phase {
        case .head where isOver && takesItsAnswer(peer), .ending where isOver && takesItsAnswer(peer):
            setDeadline(peer, ticks: routing.handshakeTimeout)
        case .head where isOver: headTimedOut(peer)
        case .body where isOver: refuse(peer, status: 408, word: "request-timeout", "the body took too long")
        case .answering where isOver: replyTimedOut(peer)
        case .open: keepAlive(peer)
        case .closing where isOver, .ending where isOver, .lingering where isOver: depart(peer)
        case .head, .body, .answering, .closing, .ending, .lingering: break
        case .gone: return
        }
        if peer.its.phase != .gone { schedule(peer) }
    }

    /// So many octets in the time of a handshake are a slow peer; fewer are none.
    private static let slowestReading: UInt32 = 4096

    /// Whether a plain request's answer is still being read, if slowly.
    private func takesItsAnswer(_ peer: ConnectionPlace) -> Bool {
        !peer.its.outbox.isEmpty && !peer.its.flags.contains(.opened) && !isStopping
            && UInt32(truncatingIfNeeded: peer.its.octetsOut) &- peer.its.mark >= Self.slowestReading
    }

    private func headTimedOut(_ peer: ConnectionPlace) {
        // A peer that said nothing (a browser's spare connection) is owed nothing.
        if peer.its.leftover.isEmpty { return depart(peer) }
        refuse(peer, status: 408, word: "request-timeout", "the request took too long")
    }

    private func replyTimedOut(_ peer: ConnectionPlace) {
        guard let exchange = peer.its.exchange else { return depart(peer) }
        // The reply was taken a moment ago and is on its way here: it counts.
        if server.desk.isAnswered(exchange.ticket) { return setDeadline(peer, ticks: routing.handshakeTimeout) }
        _ = server.desk.close(exchange.ticket)
        unsafe exchange.binding.pointee.failures.add(1, ordering: .relaxed)
        unbind(peer)
        refuse(peer, status: 504, word: "reply-timeout", "the handler did not answer in time")
    }

    /// Pings on the interval, gives up on a peer that does not answer, ends one that says nothing.
    private func keepAlive(_ peer: ConnectionPlace) {
        guard let limits = unsafe peer.its.binding?.pointee.limits else { return }
        // Who is not read from because the pool has its hands full does not stay silent.
        if isHeldByLane(peer) { peer.its.lastMessage = now }
        if limits.idleTimeout != 0, now >= peer.its.lastMessage + limits.idleTimeout {
            beginClosing(peer, code: CloseCode.goingAway, reason: Array("idle timeout".utf8), by: UInt16(GW_BY_GATEWAY))
            return
        }
        guard peer.its.pingDue != 0, now >= peer.its.pingDue else { return }
        if peer.its.flags.contains(.pinged) {
            if cannotAnswer(peer) {
                peer.its.mark = UInt32(truncatingIfNeeded: peer.its.octetsIn)
                peer.its.pingDue = now + limits.pongTimeout
                return
            }
            report(peer, GW_E_CLOSED, "no pong within pong_timeout")
            beginClosing(
                peer, code: CloseCode.internalError, reason: Array("pong timeout".utf8), by: UInt16(GW_BY_GATEWAY))
            return
        }
        sendPing(peer, limits)
    }

    /// Whether a missing pong says nothing about the peer: we do not read it, or the frame it is in the middle of
    /// still comes (RFC 6455 5.4: control frames stand between frames, never inside one).
    private func cannotAnswer(_ peer: ConnectionPlace) -> Bool {
        peer.its.flags.contains(.readingOff) || isHeldByLane(peer)
            || (peer.its.reader.remaining > 0 && UInt32(truncatingIfNeeded: peer.its.octetsIn) != peer.its.mark)
    }

    private func sendPing(_ peer: ConnectionPlace, _ limits: RouteLimits) {
        peer.its.pingStamp = max(1, UInt32(truncatingIfNeeded: nowNanoseconds / 1000))
        unsafe withUnsafeBytes(of: UInt64(peer.its.pingStamp).bigEndian) {
            unsafe queueFrame(peer, .ping, isFinal: true, $0)
        }
        if limits.pongTimeout == 0 {
            peer.its.pingDue = now + limits.pingInterval
        } else {
            peer.its.flags.insert(.pinged)
            peer.its.mark = UInt32(truncatingIfNeeded: peer.its.octetsIn)
            peer.its.pingDue = now + limits.pongTimeout
        }
    }

    /// RFC 6455 5.5.3: a pong that answers our ping carries its payload; any other one proves nothing.
    func notePong(_ peer: ConnectionPlace, _ payload: UnsafeRawBufferPointer) {
        guard payload.count == 8, peer.its.pingStamp != 0,
            UInt64(bigEndian: unsafe payload.loadUnaligned(as: UInt64.self)) == UInt64(peer.its.pingStamp)
        else { return }
        let microseconds = UInt32(truncatingIfNeeded: Clock.monotonicNanoseconds() / 1000) &- peer.its.pingStamp
        port.board[peer.its.slot].roundTripMicroseconds.store(max(1, microseconds), ordering: .relaxed)
        guard peer.its.flags.contains(.pinged), let binding = unsafe peer.its.binding else { return }
        peer.its.flags.remove(.pinged)
        peer.its.pingDue = unsafe now + binding.pointee.limits.pingInterval
        // The timer stands at the end of pong_timeout, which may be later than the next ping.
        schedule(peer)
    }

    /// Serves nobody new and asks everybody to go.
    func beginStopping() {
        if isStopping { return }
        isStopping = true
        ignoreListeners()
        listenAgainAt = nil
        var longest = TimerWheel.ticks(milliseconds: 1000)
        for slot in 0..<table.used {
            guard let peer = table.occupant(slot) else { continue }
            if let binding = unsafe peer.its.binding {
                longest = unsafe max(longest, binding.pointee.limits.closeTimeout)
            }
            sendAway(peer)
        }
        stopDeadline = now + longest + TimerWheel.ticks(milliseconds: 500)
    }

    func sendAway(_ peer: ConnectionPlace) {
        switch peer.its.phase {
        case .open:
            beginClosing(
                peer, code: CloseCode.goingAway, reason: Array("the gateway is shutting down".utf8),
                by: UInt16(GW_BY_SHUTDOWN))
        case .head where peer.its.leftover.isEmpty: depart(peer)
        case .head, .body, .answering, .closing, .ending, .lingering, .gone: break
        }
    }

    /// The deadline of stopping has passed: whoever is left is cut off.
    func dropEverybody() {
        for slot in 0..<table.used {
            if let peer = table.occupant(slot) { depart(peer) }
        }
    }
}
