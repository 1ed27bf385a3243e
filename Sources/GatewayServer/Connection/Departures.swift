import GatewayIO

/// Connections that are told to go (1001) one after the other, each at a random moment: those that come back to another
/// gateway at once do not come there all at once.
final class Departures {
    private struct Departure {
        let tick: UInt32
        let id: ConnectionID
    }

    /// The next one last.
    private var planned: [Departure] = []

    /// Plans the departure of everybody who is here. Whoever was to leave at another time leaves by this plan.
    ///
    /// - Parameter ticks: within how many everybody goes; nil = within the `drain_timeout` of the connection's route.
    func begin(within ticks: UInt32?, on worker: Worker) {
        planned.removeAll(keepingCapacity: true)
        for slot in 0..<worker.table.used {
            guard let peer = worker.table.occupant(slot) else { continue }
            let own = unsafe peer.pointee.binding?.pointee.limits.drainTimeout ?? worker.routing.handshakeTimeout
            let span = max(1, ticks ?? own)
            planned.append(Departure(tick: worker.now &+ UInt32.random(in: 0..<span), id: peer.pointee.id))
        }
        planned.sort { $0.tick > $1.tick }
        look(on: worker)
    }

    /// Tells those whose time has come to go.
    func look(on worker: Worker) {
        while let next = planned.last, next.tick <= worker.now {
            planned.removeLast()
            guard let peer = worker.table.find(slot: next.id.slot, serial: next.id.serial) else { continue }
            worker.closer.sendAway(peer, on: worker)
        }
        if let next = planned.last { worker.timers.scheduleDepartures(at: next.tick) }
    }
}
