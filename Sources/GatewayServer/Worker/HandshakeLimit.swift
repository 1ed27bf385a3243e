import Synchronization

/// How many handshakes of a listener are under way at once, on all workers together, and who waits for a place among
/// them: `handshake_limit`. Any thread.
final class HandshakeLimit: Sendable {
    private struct State {
        var most: Int
        var underWay = 0
        /// In the order of their coming. Some may have left since: a place that is offered to them is given back.
        var waiting = Fifo<Waiter>()

        /// Gives a place that is free to the first who waits.
        mutating func next() -> Waiter? {
            guard underWay < most, let next = waiting.popFirst() else { return nil }
            underWay += 1
            return next
        }
    }

    private struct Waiter: Sendable {
        let id: ConnectionID
        let port: WorkerPort
    }

    /// One of the handshakes that may be under way, for as long as somebody keeps it.
    final class Place: Sendable {
        private let limit: HandshakeLimit

        fileprivate init(_ limit: HandshakeLimit) { self.limit = limit }
        deinit { limit.leave() }
    }

    private let state: Mutex<State>

    init(_ most: Int) { state = Mutex(State(most: most)) }

    /// Another number. Who has a place keeps it.
    func change(to most: Int) {
        state.withLock { $0.most = most }
        while let next = state.withLock({ $0.next() }) { give(next) }
    }

    /// Takes a place for a connection.
    ///
    /// - Returns: nil when it has to wait; then its worker is given the place in a message (`handshake`).
    func enter(_ id: ConnectionID, _ port: WorkerPort) -> Place? {
        let isIn = state.withLock { state in
            guard state.underWay < state.most else {
                state.waiting.append(Waiter(id: id, port: port))
                return false
            }
            state.underWay += 1
            return true
        }
        return isIn ? Place(self) : nil
    }

    private func leave() {
        let next = state.withLock { state in
            state.underWay -= 1
            return state.next()
        }
        if let next { give(next) }
    }

    private func give(_ waiter: Waiter) { waiter.port.post(.handshake(waiter.id, Place(self))) }
}
