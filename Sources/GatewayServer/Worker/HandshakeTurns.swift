import GatewayIO

/// The handshakes on a worker: so many steps of them in a turn, between which everybody else is served.
final class HandshakeTurns {
    /// A step may take as long as a hundred messages.
    static let stepsPerTurn = 8

    /// The turn in which the last step was made, by its time.
    private var turn: UInt64 = 0
    private var left = stepsPerTurn

    /// What a connection whose handshake counts against a limit is given.
    final class Leave: HandshakeLeave {
        private let id: ConnectionID
        private let limit: HandshakeLimit
        private unowned let worker: Worker
        fileprivate var place: HandshakeLimit.Place?
        private var isWaiting = false
        private let tally: HandshakeTally
        private var hasEnded = false

        init(_ id: ConnectionID, _ limit: HandshakeLimit, on worker: Worker) {
            (self.id, self.limit, self.worker) = (id, limit, worker)
            tally = worker.server.tlsHandshakes
            super.init()
        }

        // Time was up in the middle of it.
        deinit { if !hasEnded, place != nil { tally.note(.init(version: "", isResumed: false, isOpen: false)) } }

        override func succeeded(version: String, isResumed: Bool) {
            hasEnded = true
            tally.note(.init(version: version, isResumed: isResumed, isOpen: true))
        }

        /// Who connects and leaves without a word has begun none.
        override func failed(hasHeard: Bool) {
            hasEnded = true
            if hasHeard { tally.note(.init(version: "", isResumed: false, isOpen: false)) }
        }

        /// A place is taken with the first bytes: a peer that says nothing keeps nobody from his.
        override func takesStep() -> Bool {
            guard worker.handshakes.hasStep(at: worker.nowNanoseconds) else { return false }
            if place == nil, !isWaiting {
                place = limit.enter(id, worker.port)
                if place == nil { wait() }
            }
            guard place != nil else { return false }
            worker.handshakes.left -= 1
            return true
        }

        /// Not read from before there is a place for it, for which there is as much time as for the handshake.
        private func wait() {
            isWaiting = true
            worker.table.find(slot: id.slot, serial: id.serial)?.pointee.flags.insert(.throttled)
        }
    }

    private func hasStep(at now: UInt64) -> Bool {
        if now != turn { (turn, left) = (now, Self.stepsPerTurn) }
        return left > 0
    }

    /// The place that a connection has waited for. One that has left leaves it to the next.
    func begin(_ id: ConnectionID, _ place: HandshakeLimit.Place, on worker: Worker) {
        guard let peer = worker.table.find(slot: id.slot, serial: id.serial), peer.pointee.phase == .head,
            let leave = peer.pointee.transport.leave as? Leave
        else { return }
        leave.place = place
        peer.pointee.flags.remove(.throttled)
        worker.updateInterest(peer)
        worker.resumeLater(peer)
    }
}
