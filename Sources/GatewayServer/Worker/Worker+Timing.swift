import Bytes
import CGatewayABI
import GatewayIO
import Synchronization
import WebSocket

extension Worker {
    /// Arms the timer of a connection for whatever comes first. Traffic does not come here: it stores the time,
    /// and the timer that fires too early is moved on.
    func schedule(_ peer: ConnectionPointer) {
        var next = peer.pointee.deadline == 0 ? UInt32.max : peer.pointee.deadline
        if peer.pointee.phase == .open, let binding = unsafe peer.pointee.binding {
            if peer.pointee.pingDue != 0 { next = min(next, peer.pointee.pingDue) }
            let idle = unsafe binding.pointee.limits.idleTimeout
            if idle != 0 { next = min(next, peer.pointee.lastMessage + idle) }
        }
        if next == .max { wheel.cancel(peer.pointee.slot) } else { wheel.arm(peer.pointee.slot, at: next) }
    }

    /// Sets the time by which the phase must be over; 0 ticks for never.
    func setDeadline(_ peer: ConnectionPointer, ticks: UInt32) {
        peer.pointee.deadline = ticks == 0 ? 0 : now + ticks
        peer.pointee.mark = UInt32(truncatingIfNeeded: peer.pointee.octetsOut)
        schedule(peer)
    }

    /// The timer of a connection went off.
    func expire(_ peer: ConnectionPointer) {
        let isOver = peer.pointee.deadline != 0 && now >= peer.pointee.deadline
        switch peer.pointee.phase {
        case .head where isOver && takesItsAnswer(peer), .ending where isOver && takesItsAnswer(peer):
            setDeadline(peer, ticks: routing.handshakeTimeout)
        case .head where isOver: headTimedOut(peer)
        case .body where isOver: refuse(peer, status: 408, word: "request-timeout", "the body took too long")
        case .answering where isOver: replyTimedOut(peer)
        case .open where isOver && peer.pointee.rareState?.peerClose != nil: takeHeldClose(peer)
        case .open: keepAlive(peer)
        case .closing where isOver, .ending where isOver, .lingering where isOver: teardown(peer)
        case .head, .body, .answering, .closing, .ending, .lingering: break
        case .gone: return
        }
        if peer.pointee.phase != .gone { schedule(peer) }
    }

    /// So many octets in the time of a handshake are a slow peer; fewer are none.
    private static let slowestReading: UInt32 = 4096

    /// Whether a plain request's answer is still being read, if slowly.
    private func takesItsAnswer(_ peer: ConnectionPointer) -> Bool {
        !peer.pointee.outbox.isEmpty && !peer.pointee.flags.contains(.opened) && !isStopping
            && UInt32(truncatingIfNeeded: peer.pointee.octetsOut) &- peer.pointee.mark >= Self.slowestReading
    }

    private func headTimedOut(_ peer: ConnectionPointer) {
        // A peer that said nothing (a browser's spare connection) is owed nothing.
        if peer.pointee.leftover.isEmpty { return teardown(peer) }
        refuse(peer, status: 408, word: "request-timeout", "the request took too long")
    }

    private func replyTimedOut(_ peer: ConnectionPointer) {
        guard let exchange = peer.pointee.exchange else { return teardown(peer) }
        // The reply was taken a moment ago and is on its way here: it counts.
        if server.pendingReplies.isAnswered(exchange.ticket) {
            return setDeadline(peer, ticks: routing.handshakeTimeout)
        }
        _ = server.pendingReplies.close(exchange.ticket)
        unsafe exchange.binding.pointee.failures.add(1, ordering: .relaxed)
        unbind(peer)
        refuse(peer, status: 504, word: "reply-timeout", "the handler did not answer in time")
    }

    /// Pings on the interval, gives up on a peer that does not answer, ends one that says nothing.
    private func keepAlive(_ peer: ConnectionPointer) {
        guard let limits = unsafe peer.pointee.binding?.pointee.limits else { return }
        // Who is not read from because the pool has its hands full does not stay silent.
        if isHeldByLane(peer) { peer.pointee.lastMessage = now }
        if limits.idleTimeout != 0, now >= peer.pointee.lastMessage + limits.idleTimeout {
            beginClosing(peer, code: CloseCode.goingAway, reason: Array("idle timeout".utf8), by: UInt16(GW_BY_GATEWAY))
            return
        }
        guard peer.pointee.pingDue != 0, now >= peer.pointee.pingDue else { return }
        if peer.pointee.flags.contains(.pinged) {
            if cannotAnswer(peer) {
                peer.pointee.mark = UInt32(truncatingIfNeeded: peer.pointee.octetsIn)
                peer.pointee.pingDue = now + limits.pongTimeout
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
    private func cannotAnswer(_ peer: ConnectionPointer) -> Bool {
        peer.pointee.flags.contains(.readingOff) || isHeldByLane(peer)
            || (peer.pointee.reader.remaining > 0
                && UInt32(truncatingIfNeeded: peer.pointee.octetsIn) != peer.pointee.mark)
    }

    private func sendPing(_ peer: ConnectionPointer, _ limits: RouteLimits) {
        peer.pointee.pingStamp = max(1, UInt32(truncatingIfNeeded: nowNanoseconds / 1000))
        unsafe withUnsafeBytes(of: UInt64(peer.pointee.pingStamp).bigEndian) {
            unsafe queueFrame(peer, .ping, isFinal: true, $0)
        }
        if limits.pongTimeout == 0 {
            peer.pointee.pingDue = now + limits.pingInterval
        } else {
            peer.pointee.flags.insert(.pinged)
            peer.pointee.mark = UInt32(truncatingIfNeeded: peer.pointee.octetsIn)
            peer.pointee.pingDue = now + limits.pongTimeout
        }
    }

    /// RFC 6455 5.5.3: a pong that answers our ping carries its payload; any other one proves nothing.
    func notePong(_ peer: ConnectionPointer, _ payload: UnsafeRawBufferPointer) {
        guard payload.count == 8, peer.pointee.pingStamp != 0,
            UInt64(bigEndian: unsafe payload.loadUnaligned(as: UInt64.self)) == UInt64(peer.pointee.pingStamp)
        else { return }
        let microseconds = UInt32(truncatingIfNeeded: Clock.monotonicNanoseconds() / 1000) &- peer.pointee.pingStamp
        port.sharedTable[peer.pointee.slot].roundTripMicroseconds.store(max(1, microseconds), ordering: .relaxed)
        guard peer.pointee.flags.contains(.pinged), let binding = unsafe peer.pointee.binding else { return }
        peer.pointee.flags.remove(.pinged)
        peer.pointee.pingDue = unsafe now + binding.pointee.limits.pingInterval
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
            if let binding = unsafe peer.pointee.binding {
                longest = unsafe max(longest, binding.pointee.limits.closeTimeout)
            }
            sendAway(peer)
        }
        stopDeadline = now + longest + TimerWheel.ticks(milliseconds: 500)
    }

    func sendAway(_ peer: ConnectionPointer) {
        switch peer.pointee.phase {
        case .open:
            beginClosing(
                peer, code: CloseCode.goingAway, reason: Array("the gateway is shutting down".utf8),
                by: UInt16(GW_BY_SHUTDOWN))
        case .head where peer.pointee.leftover.isEmpty: teardown(peer)
        case .head, .body, .answering, .closing, .ending, .lingering, .gone: break
        }
    }

    /// The deadline of stopping has passed: whoever is left is cut off.
    func dropEverybody() {
        for slot in 0..<table.used {
            if let peer = table.occupant(slot) { teardown(peer) }
        }
    }
}
