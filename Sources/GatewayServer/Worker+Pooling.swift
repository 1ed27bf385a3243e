import CGatewayABI
import HandlerModules
import Synchronization
import WebSocket

/// Routes with `dispatch pool`: what would be a callback here becomes a call on the lane of its connection.
extension Worker {
    /// Puts a call on the connection's lane, and holds the peer when too much waits there.
    func queue(_ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>, _ call: PooledCall) {
        guard let lane = peer.its.belongings?.lane else { return }
        if unsafe lane.add(call, room: binding.pointee.limits.highWater), peer.its.phase == .open {
            peer.its.flags.insert(.throttled)
        }
    }

    /// A message, or a piece of one, in octets that are copied.
    func queue(
        _ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>, _ kind: Opcode, _ flags: UInt32,
        _ octets: UnsafeRawBufferPointer
    ) {
        unsafe queue(
            peer, binding,
            .message(kind: UInt32(kind.rawValue), flags: flags, Array(octets), receivedAt: nowNanoseconds))
    }

    /// - Returns: false when the connection that it is for is not open, or called here.
    func queue(_ event: LaterEvent) -> Bool {
        let id = ConnectionID(event.connection)
        guard let peer = table.find(slot: id.slot, serial: id.serial), peer.its.phase == .open,
            peer.its.flags.contains(.opened), let binding = unsafe peer.its.binding, unsafe binding.pointee.isPooled
        else { return false }
        // From here on it is the lane that keeps the connection where it is.
        unsafe queue(peer, binding, .event(event))
        if case .workDone = event.kind { port.board[id.slot].jobs.subtract(1, ordering: .releasing) }
        return true
    }

    // MARK: Requests

    /// Has the handler asked about a request; `asked` brings what it returns.
    func askOnLane(_ peer: ConnectionPlace, _ exchange: Exchange) {
        let binding = unsafe exchange.binding
        // A handler that blocks for long is one that does not answer.
        unsafe setDeadline(peer, ticks: binding.pointee.limits.replyTimeout)
        peer.its.itsBelongings.lane = unsafe Lane(peer.its.id, binding, port, server)
        exchange.isOnLane = exchange.handshake == nil
        unsafe queue(peer, binding, .ask(HeldExchange(exchange)))
    }

    func openOnLane(_ peer: ConnectionPlace, _ exchange: Exchange, _ reply: Reply, subprotocol: Range<Int>?) {
        let binding = unsafe exchange.binding
        let belongings = peer.its.itsBelongings
        // Without an `upgrade` nobody has been asked.
        if belongings.lane == nil { belongings.lane = unsafe Lane(peer.its.id, binding, port, server) }
        unsafe queue(
            peer, binding, .open(HeldExchange(exchange), state: reply.state, subprotocol: subprotocol))
    }

    // MARK: Flow

    /// The peer waits for the pool: too much of what it sent has not been dealt with, or it is being handed over.
    func isHeldByLane(_ peer: ConnectionPlace) -> Bool {
        guard peer.its.flags.contains(.throttled), let belongings = peer.its.belongings, let lane = belongings.lane
        else { return false }
        return belongings.isMoving || lane.isHolding
    }

    /// The handler has closed the connection: what is still to be called of what the peer sent is not.
    func cutOffLane(_ peer: ConnectionPlace) {
        peer.its.belongings?.lane?.isCutOff.store(true, ordering: .releasing)
    }

    // MARK: Reload

    /// Whether the lane lets the connection move: nothing of it runs, and what waits can be taken by either handler.
    func isQuietOnLane(
        _ peer: ConnectionPlace, _ from: UnsafeMutablePointer<Binding>, _ to: UnsafeMutablePointer<Binding>
    ) -> Bool {
        guard let belongings = peer.its.belongings, let lane = belongings.lane else { return true }
        guard !belongings.isMoving, lane.isQuiet else { return false }
        guard lane.hasInput else { return true }
        // Text was looked at when it came, and for the one that was to get it then.
        let isAsChecked = unsafe from.pointee.has(GW_HF_NO_UTF8) == to.pointee.has(GW_HF_NO_UTF8)
        return unsafe isAsChecked && from.pointee.handler.fragment == nil && to.pointee.handler.fragment == nil
    }

    /// Has the connection handed over on the pool, where its handlers may take their time; `laneMoved` tells of it.
    func beginMove(_ peer: ConnectionPlace, _ handOver: HandOver) {
        guard let belongings = peer.its.belongings, belongings.lane != nil, let to = unsafe handOver.to,
            let from = unsafe peer.its.binding
        else { return }
        belongings.isMoving = true
        // What it reads meanwhile is for the next one.
        peer.its.flags.insert(.throttled)
        unsafe to.pointee.record.lanes.add(1, ordering: .relaxed)
        unsafe queue(peer, from, .move(handOver))
        updateInterest(peer)
    }

    func finishMove(_ lane: Lane, _ handOver: HandOver, _ isMoved: Bool) {
        if let peer = table.find(slot: lane.id.slot, serial: lane.id.serial), peer.its.belongings?.lane === lane {
            peer.its.belongings?.isMoving = false
            noteMove(peer, handOver, isMoved)
            relax(peer)
        }
        lane.resume()
    }
}
