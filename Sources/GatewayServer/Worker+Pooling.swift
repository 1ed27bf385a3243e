import CGatewayABI
import HandlerModules
import Synchronization
import WebSocket

/// Routes with `dispatch pool`: what would be a callback here becomes a call on the lane of its connection.
extension Worker {
    /// Gives the connection a lane where its route says so.
    ///
    /// - Returns: whether it has one: its callbacks run on the pool.
    func makeLane(_ peer: ConnectionPlace) -> Bool {
        guard let binding = unsafe peer.its.binding, unsafe binding.pointee.isPooled else { return false }
        let belongings = peer.its.itsBelongings
        if belongings.lane == nil { belongings.lane = unsafe Lane(peer.its.id, binding, port, server) }
        return true
    }

    /// Puts a call on the connection's lane, and holds the peer when too much waits there.
    func enqueue(_ peer: ConnectionPlace, _ lane: Lane, _ call: Lane.Call) {
        guard let binding = unsafe peer.its.binding else { return }
        if unsafe lane.add(call, room: binding.pointee.limits.highWater), peer.its.phase == .open {
            peer.its.flags.insert(.throttled)
        }
    }

    /// Has the handler asked about a request; `asked` brings what it returns.
    func askOnLane(_ peer: ConnectionPlace, _ exchange: Exchange) {
        // A handler that blocks for long is one that does not answer.
        unsafe setDeadline(peer, ticks: exchange.binding.pointee.limits.replyTimeout)
        exchange.isOnLane = exchange.handshake == nil
        run(peer, .ask(RetainedExchange(exchange)))
    }

    // MARK: Flow

    /// The peer waits for the pool: too much of what it sent has not been dealt with, or it is being handed over.
    func isHeldByLane(_ peer: ConnectionPlace) -> Bool {
        guard peer.its.flags.contains(.throttled), let belongings = peer.its.belongings, let lane = belongings.lane
        else { return false }
        return belongings.isMoving || belongings.peerClose != nil || lane.isHolding
    }

    /// Has the peer's Close wait for the lane, so that what the peer sent before is still delivered to an open connection,
    /// and answered, as it is on a loop.
    ///
    /// - Returns: false when nothing waits before it.
    func holdClose(_ peer: ConnectionPlace, _ body: UnsafeRawBufferPointer) -> Bool {
        guard peer.its.phase == .open, let belongings = peer.its.belongings, let lane = belongings.lane, lane.isBusy
        else {
            return false
        }
        belongings.peerClose = unsafe Array(body)
        peer.its.flags.insert(.throttled)
        enqueue(peer, lane, .peerClosed)
        return true
    }

    func takeHeldClose(_ peer: ConnectionPlace) {
        guard let body = peer.its.belongings?.peerClose, peer.its.phase == .open else { return }
        peer.its.belongings?.peerClose = nil
        peer.its.flags.remove(.throttled)
        unsafe body.withUnsafeBytes { unsafe closeReceived(peer, $0) }
        updateInterest(peer)
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
        guard let belongings = peer.its.belongings, let lane = belongings.lane, let to = unsafe handOver.to else {
            return
        }
        belongings.isMoving = true
        // What it reads meanwhile is for the next one.
        peer.its.flags.insert(.throttled)
        unsafe to.pointee.record.lanes.add(1, ordering: .relaxed)
        enqueue(peer, lane, .move(handOver))
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
