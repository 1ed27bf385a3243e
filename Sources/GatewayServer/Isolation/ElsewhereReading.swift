import Synchronization

/// What the processes of an isolated handler have counted of an instance, one after the other. Any thread reads.
final class ElsewhereReading: Sendable {
    private struct State {
        /// Of processes that have ended.
        var ended = TrafficReading()
        var current = TrafficReading()
    }

    private let state = Mutex(State())

    /// Control thread: what the process that there is has counted so far.
    func note(_ reading: TrafficReading) { state.withLock { $0.current = reading } }

    /// Control thread: that process has ended, with all connections that it had.
    func endProcess() {
        state.withLock { state in
            state.current.open = 0
            state.ended.add(state.current)
            state.current = TrafficReading()
        }
    }

    var reading: TrafficReading {
        state.withLock { state in
            var sum = state.ended
            sum.add(state.current)
            return sum
        }
    }
}
