import Bytes
import CGatewayABI
import GatewayIO
import Synchronization
import WebSocket

/// Deadlines of connections: of the handshake, of answers, of silence, of pongs, of output, of closing.
final class ConnectionTimers {
    private var wheel: TimerWheel
    private var due: [UInt32] = []
    /// Behind the slots of connections: when memory is counted again.
    private let gauge: UInt32
    /// Behind that: when the next connection is told to go.
    private let departures: UInt32
    /// Behind that: when connections are looked at again that go to another process.
    private let exports: UInt32
    /// Behind that: when handlers are to save what they know of connections.
    private let checkpoints: UInt32

    /// - Returns: nil when there is no memory for it.
    init?(capacity: Int) {
        guard let wheel = TimerWheel(capacity: capacity + 4, now: 0) else { return nil }
        self.wheel = wheel
        gauge = UInt32(capacity)
        departures = gauge + 1
        exports = gauge + 2
        checkpoints = gauge + 3
    }

    /// Ticks to the next deadline; nil when there is none.
    var ticksUntilNext: UInt32? { wheel.ticksUntilNext() }

    /// When memory is to be counted again (`MemoryGauge`).
    func scheduleGauge(at tick: UInt32) { wheel.arm(gauge, at: tick) }

    /// When the next connection is to be told to go (`Departures`).
    func scheduleDepartures(at tick: UInt32) { wheel.arm(departures, at: tick) }

    /// When connections are to be looked at again that go to another process (`ConnectionExporter`).
    func scheduleExport(at tick: UInt32) { wheel.arm(exports, at: tick) }

    /// When handlers are to save what they know of connections (`LedgerCheckpoints`).
    func scheduleCheckpoints(at tick: UInt32) { wheel.arm(checkpoints, at: tick) }

    /// The connection has none any more.
    func cancel(_ slot: UInt32) { wheel.cancel(slot) }

    /// Arms the timer of a connection for whatever comes first. Traffic does not come here: it stores the time,
    /// and the timer that fires too early is moved on.
    func schedule(_ peer: ConnectionPointer, on worker: Worker) {
        var next = peer.pointee.deadline == 0 ? UInt32.max : peer.pointee.deadline
        if peer.pointee.phase == .open, let binding = unsafe peer.pointee.binding {
            if peer.pointee.pingDue != 0 { next = min(next, peer.pointee.pingDue) }
            let idle = unsafe binding.pointee.limits.idleTimeout
            if idle != 0 { next = min(next, peer.pointee.lastMessage + idle) }
        }
        if let look = peer.pointee.rareState?.unread?.nextLook { next = min(next, look) }
        if next == .max { wheel.cancel(peer.pointee.slot) } else { wheel.arm(peer.pointee.slot, at: next) }
    }

    /// Sets the time by which the phase must be over; 0 ticks for never.
    func setDeadline(_ peer: ConnectionPointer, ticks: UInt32, on worker: Worker) {
        peer.pointee.deadline = ticks == 0 ? 0 : worker.now + ticks
        peer.pointee.mark = UInt32(truncatingIfNeeded: peer.pointee.bytesOut)
        schedule(peer, on: worker)
    }

    /// The timer of a connection went off.
    func expire(_ peer: ConnectionPointer, on worker: Worker) {
        if isUnread(peer, on: worker) { return worker.closer.endUnread(peer, on: worker) }
        let isOver = peer.pointee.deadline != 0 && worker.now >= peer.pointee.deadline
        switch peer.pointee.phase {
        case .head where isOver && takesItsAnswer(peer, on: worker),
            .ending where isOver && takesItsAnswer(peer, on: worker):
            setDeadline(peer, ticks: worker.routing.handshakeTimeout, on: worker)
        case .head where isOver: headTimedOut(peer, on: worker)
        case .body where isOver:
            worker.responder.reject(peer, .bodyTimeout, on: worker)
        case .answering where isOver: replyTimedOut(peer, on: worker)
        case .open where isOver && peer.pointee.rareState?.peerClose != nil:
            worker.closer.takeHeldClose(peer, on: worker)
        case .open: keepAlive(peer, on: worker)
        case .away where isOver: worker.relays.expire(peer, on: worker)
        case .multiplexed where isOver: worker.http2.expire(peer, on: worker)
        case .closing where isOver, .ending where isOver, .lingering where isOver:
            worker.closer.teardown(peer, on: worker)
        case .head, .body, .answering, .away, .multiplexed, .closing, .ending, .lingering: break
        case .gone: return
        }
        if peer.pointee.phase != .gone { schedule(peer, on: worker) }
    }

    /// So many bytes in the time of a handshake are a slow peer; fewer are none.
    private static let slowestReading: UInt32 = 4096

    /// Whether a plain request's answer is still being read, if slowly.
    private func takesItsAnswer(_ peer: ConnectionPointer, on worker: Worker) -> Bool {
        !peer.pointee.outbox.isEmpty && !peer.pointee.flags.contains(.opened) && !worker.isStopping
            && UInt32(truncatingIfNeeded: peer.pointee.bytesOut) &- peer.pointee.mark >= Self.slowestReading
    }

    // MARK: Output

    /// How long the output of a connection may wait; 0 for ever.
    private func writeTimeout(_ peer: ConnectionPointer, on worker: Worker) -> UInt32 {
        unsafe peer.pointee.binding?.pointee.limits.writeTimeout ?? worker.routing.writeTimeout
    }

    /// The transport takes no output, or takes it again.
    @inline(never)
    func noteBlocked(_ peer: ConnectionPointer, _ isBlocked: Bool, on worker: Worker) {
        guard isBlocked else {
            // The timer goes off once for nothing.
            peer.pointee.rareState?.unread = nil
            return
        }
        let limit = writeTimeout(peer, on: worker)
        if limit == 0 { return }
        peer.pointee.ownRareState.unread = UnreadOutput(peer, limit: limit, now: worker.now)
        schedule(peer, on: worker)
    }

    /// Whether nothing of the output that waits was taken for `write_timeout`.
    private func isUnread(_ peer: ConnectionPointer, on worker: Worker) -> Bool {
        guard let rareState = peer.pointee.rareState, var unread = rareState.unread, worker.now >= unread.nextLook,
            peer.pointee.phase != .gone
        else { return false }
        let isOver = unread.look(peer, limit: writeTimeout(peer, on: worker), now: worker.now)
        rareState.unread = unread
        return isOver
    }

    private func headTimedOut(_ peer: ConnectionPointer, on worker: Worker) {
        // A peer that said nothing (a browser's spare connection) is owed nothing.
        if peer.pointee.leftover.isEmpty {
            if !worker.acceptor.noteMissingHeader(peer, on: worker) {
                worker.closer.logFailure(peer, .info, on: worker)
            }
            return worker.closer.teardown(peer, on: worker)
        }
        worker.responder.reject(peer, .requestTimeout, on: worker)
    }

    private func replyTimedOut(_ peer: ConnectionPointer, on worker: Worker) {
        guard let exchange = peer.pointee.exchange else { return worker.closer.teardown(peer, on: worker) }
        // The reply was taken a moment ago and is on its way here: it counts.
        if worker.server.pendingReplies.isAnswered(exchange.ticket) {
            return setDeadline(peer, ticks: worker.routing.handshakeTimeout, on: worker)
        }
        _ = worker.server.pendingReplies.close(exchange.ticket)
        unsafe exchange.binding.pointee.failures.add(1, ordering: .relaxed)
        peer.pointee.unbind()
        peer.pointee.rareState?.admission = nil
        worker.responder.reject(peer, .replyTimeout, on: worker)
    }

    /// Pings on the interval, gives up on a peer that does not answer, ends one that says nothing.
    private func keepAlive(_ peer: ConnectionPointer, on worker: Worker) {
        guard let limits = unsafe peer.pointee.binding?.pointee.limits else { return }
        // A peer that is not read from because the pool has its hands full is not idle.
        if peer.pointee.isHeldByPool { peer.pointee.lastMessage = worker.now }
        if limits.idleTimeout != 0, worker.now >= peer.pointee.lastMessage + limits.idleTimeout {
            worker.closer.beginClosing(
                peer, code: CloseCode.goingAway, reason: Array("idle timeout".utf8), by: UInt16(GW_BY_GATEWAY),
                on: worker)
            return
        }
        guard peer.pointee.pingDue != 0, worker.now >= peer.pointee.pingDue else { return }
        if peer.pointee.flags.contains(.pinged) {
            if cannotAnswer(peer) {
                peer.pointee.mark = UInt32(truncatingIfNeeded: peer.pointee.bytesIn)
                peer.pointee.pingDue = worker.now + limits.pongTimeout
                return
            }
            worker.closer.report(peer, GW_E_CLOSED, "no pong within pong_timeout", on: worker)
            worker.closer.beginClosing(
                peer, code: CloseCode.internalError, reason: Array("pong timeout".utf8), by: UInt16(GW_BY_GATEWAY),
                on: worker)
            return
        }
        sendPing(peer, limits, on: worker)
    }

    /// Whether a missing pong says nothing about the peer: we do not read it, or the frame it is in the middle of
    /// still comes (RFC 6455 5.4: control frames stand between frames, never inside one).
    private func cannotAnswer(_ peer: ConnectionPointer) -> Bool {
        peer.pointee.flags.contains(.readingOff) || peer.pointee.isHeldByPool
            // It does not read, and so is not read from: that is the business of write_timeout.
            || (peer.pointee.flags.contains(.throttled) && peer.pointee.rareState?.unread != nil)
            || (peer.pointee.reader.remaining > 0
                && UInt32(truncatingIfNeeded: peer.pointee.bytesIn) != peer.pointee.mark)
    }

    private func sendPing(_ peer: ConnectionPointer, _ limits: RouteLimits, on worker: Worker) {
        peer.pointee.pingStamp = max(1, UInt32(truncatingIfNeeded: worker.nowNanoseconds / 1000))
        unsafe withUnsafeBytes(of: UInt64(peer.pointee.pingStamp).bigEndian) {
            unsafe worker.queueFrame(peer, .ping, isFinal: true, $0)
        }
        if limits.pongTimeout == 0 {
            peer.pointee.pingDue = worker.now + limits.pingInterval
        } else {
            peer.pointee.flags.insert(.pinged)
            peer.pointee.mark = UInt32(truncatingIfNeeded: peer.pointee.bytesIn)
            peer.pointee.pingDue = worker.now + limits.pongTimeout
        }
    }

    /// RFC 6455 5.5.3: a pong that answers our ping carries its payload; any other one proves nothing.
    func notePong(_ peer: ConnectionPointer, _ payload: UnsafeRawBufferPointer, on worker: Worker) {
        guard payload.count == 8, peer.pointee.pingStamp != 0,
            UInt64(bigEndian: unsafe payload.loadUnaligned(as: UInt64.self)) == UInt64(peer.pointee.pingStamp)
        else { return }
        let microseconds = UInt32(truncatingIfNeeded: worker.clock() / 1000) &- peer.pointee.pingStamp
        worker.port.sharedTable[peer.pointee.slot].roundTripMicroseconds.store(max(1, microseconds), ordering: .relaxed)
        worker.counters(peer)?.noteRoundTrip(nanoseconds: UInt64(microseconds) * 1000)
        guard peer.pointee.flags.contains(.pinged), let binding = unsafe peer.pointee.binding else { return }
        peer.pointee.flags.remove(.pinged)
        peer.pointee.pingDue = unsafe worker.now + binding.pointee.limits.pingInterval
        // The timer stands at the end of pong_timeout, which may be later than the next ping.
        schedule(peer, on: worker)
    }

    /// Deadlines of connections that have passed.
    func expireDue(on worker: Worker) {
        wheel.advance(to: worker.now, due: &due)
        if due.isEmpty { return }
        for slot in due {
            if slot == gauge {
                worker.gauge.look(on: worker)
            } else if slot == departures {
                worker.departures.look(on: worker)
            } else if slot == exports {
                worker.exporter.lookAgain(on: worker)
            } else if slot == checkpoints {
                worker.ledger?.look(on: worker)
            } else if let peer = worker.table.occupant(slot) {
                worker.ledger?.begin(peer)
                expire(peer, on: worker)
                worker.ledger?.settle(on: worker)
            }
        }
        due.removeAll(keepingCapacity: true)
    }
}
