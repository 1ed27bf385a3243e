import CGatewayABI
import HandlerModules
import Synchronization
import WebSocket

/// Routes with `dispatch pool`: what would be a callback here becomes a call on the lane of its connection.
extension Worker {
    /// Gives the connection a lane where its route says so.
    ///
    /// - Returns: whether it has one: its callbacks run on the pool.
    func makeLane(_ peer: ConnectionPointer) -> Bool {
        guard let binding = unsafe peer.pointee.binding, unsafe binding.pointee.isPooled else { return false }
        let rareState = peer.pointee.ownRareState
        if rareState.lane == nil { rareState.lane = unsafe Lane(peer.pointee.id, binding, port, server) }
        return true
    }

    /// Puts a call on the connection's lane, and holds the peer when too much waits there.
    func enqueue(_ peer: ConnectionPointer, _ lane: Lane, _ call: Lane.Call) {
        guard let binding = unsafe peer.pointee.binding else { return }
        if unsafe lane.add(call, room: binding.pointee.limits.highWater), peer.pointee.phase == .open {
            peer.pointee.flags.insert(.throttled)
        }
    }

    /// Has the handler asked about a request; `asked` brings what it returns.
    func askOnLane(_ peer: ConnectionPointer, _ exchange: Exchange) {
        // A handler that blocks for long is one that does not answer.
        unsafe setDeadline(peer, ticks: exchange.binding.pointee.limits.replyTimeout)
        exchange.isOnLane = exchange.handshake == nil
        run(peer, .ask(RetainedExchange(exchange)))
    }

    // MARK: Flow

    /// The peer waits for the pool: too much of what it sent has not been dealt with, or it is being handed over.
    func isHeldByLane(_ peer: ConnectionPointer) -> Bool {
        guard peer.pointee.flags.contains(.throttled), let rareState = peer.pointee.rareState, let lane = rareState.lane
        else { return false }
        return rareState.isMoving || rareState.peerClose != nil || lane.isHolding
    }

    /// Has the peer's Close wait for the lane, so that what the peer sent before is still delivered to an open connection,
    /// and answered, as it is on a loop.
    ///
    /// - Returns: false when nothing waits before it.
    func holdClose(_ peer: ConnectionPointer, _ body: UnsafeRawBufferPointer) -> Bool {
        guard peer.pointee.phase == .open, let rareState = peer.pointee.rareState, let lane = rareState.lane,
            lane.isBusy
        else {
            return false
        }
        rareState.peerClose = unsafe Array(body)
        peer.pointee.flags.insert(.throttled)
        enqueue(peer, lane, .peerClosed)
        // A handler that blocks for longer does not keep the peer from its closing handshake.
        if let binding = unsafe peer.pointee.binding {
            unsafe setDeadline(peer, ticks: binding.pointee.limits.closeTimeout)
        }
        return true
    }

    func takeHeldClose(_ peer: ConnectionPointer) {
        guard let body = peer.pointee.rareState?.peerClose, peer.pointee.phase == .open else { return }
        peer.pointee.rareState?.peerClose = nil
        peer.pointee.flags.remove(.throttled)
        unsafe body.withUnsafeBytes { unsafe answerClose(peer, $0) }
        updateInterest(peer)
    }

    /// The handler has closed the connection: what is still to be called of what the peer sent is not.
    func cutOffLane(_ peer: ConnectionPointer) {
        peer.pointee.rareState?.lane?.isCutOff.store(true, ordering: .releasing)
    }

    // MARK: Reload

    /// Whether the lane lets the connection move: nothing of it runs, and what waits can be taken by either handler.
    func isQuietOnLane(
        _ peer: ConnectionPointer, _ from: UnsafeMutablePointer<Binding>, _ to: UnsafeMutablePointer<Binding>
    ) -> Bool {
        guard let rareState = peer.pointee.rareState, let lane = rareState.lane else { return true }
        guard !rareState.isMoving, lane.isQuiet else { return false }
        guard lane.hasInput else { return true }
        // Text was looked at when it came, and for the one that was to get it then.
        let isAsChecked = unsafe from.pointee.has(GW_HF_NO_UTF8) == to.pointee.has(GW_HF_NO_UTF8)
        return unsafe isAsChecked && from.pointee.handler.fragment == nil && to.pointee.handler.fragment == nil
    }

    /// Has the connection handed over on the pool, where its handlers may take their time; `laneMoved` tells of it.
    func beginMove(_ peer: ConnectionPointer, _ handover: Handover) {
        guard let rareState = peer.pointee.rareState, let lane = rareState.lane, let to = unsafe handover.to else {
            return
        }
        rareState.isMoving = true
        // What it reads meanwhile is for the next one.
        peer.pointee.flags.insert(.throttled)
        unsafe to.pointee.record.lanes.add(1, ordering: .relaxed)
        enqueue(peer, lane, .move(handover))
        updateInterest(peer)
    }

    func finishMove(_ lane: Lane, _ handover: Handover, _ isMoved: Bool) {
        if let peer = table.find(slot: lane.id.slot, serial: lane.id.serial), peer.pointee.rareState?.lane === lane {
            peer.pointee.rareState?.isMoving = false
            noteMove(peer, handover, isMoved)
            relax(peer)
        }
        lane.resume()
    }
}
