import Synchronization

/// What is counted of a route, a handler and a generation of it.
final class InstanceCounters: Sendable {
    /// The labels.
    struct Name: Hashable, Sendable {
        let route: String
        let handler: String
        let generation: UInt64
    }

    let name: Name
    /// By the number of the worker.
    let workers: [WorkerCounters]
    /// Where it runs in a process of its own.
    let elsewhere = ElsewhereReading()
    /// Of callbacks on the pool, whose threads share it.
    let pool = CallbackDurations()

    init(_ name: Name, workers: Int) {
        self.name = name
        self.workers = (0..<max(1, workers)).map { _ in WorkerCounters() }
    }

    /// Any thread: the connections that are with it now.
    var open: UInt64 { workers.reduce(elsewhere.reading.open) { $0 &+ $1.open.load(ordering: .relaxed) } }

    /// Any thread: the sum over the workers. No worker is asked, so it is also there when one does not come back.
    var reading: TrafficReading {
        var total = elsewhere.reading
        for worker in workers { worker.add(to: &total) }
        pool.add(to: &total.callbacks)
        return total
    }
}

/// The counters of all instances, also of those that have ended, for a while.
final class CounterDirectory: Sendable {
    /// So many generations of a route and handler that have ended are remembered: what was counted of one between the
    /// last scrape and its end is seen, and the number of series stays bounded however often a handler is replaced.
    static let mostEnded = 4

    private struct Entry {
        let counters: InstanceCounters
        var instances = 0
    }

    private struct State {
        var entries: [InstanceCounters.Name: Entry] = [:]
        /// By route: what those have counted that are not remembered by themselves any more.
        var others: [String: TrafficReading] = [:]
    }

    private let state = Mutex(State())

    /// An instance is made. A generation that has several at a route, one after the other, counts on.
    func begin(_ name: InstanceCounters.Name, workers: Int) -> InstanceCounters {
        state.withLock { state in
            var entry = state.entries[name] ?? Entry(counters: InstanceCounters(name, workers: workers))
            entry.instances += 1
            state.entries[name] = entry
            return entry.counters
        }
    }

    /// The instance has been stopped.
    func end(_ counters: InstanceCounters) {
        state.withLock { state in
            let name = counters.name
            state.entries[name]?.instances -= 1
            let ended = state.entries.filter {
                $0.value.instances <= 0 && $0.key.route == name.route && $0.key.handler == name.handler
            }.keys.sorted { $0.generation > $1.generation }
            for old in ended.dropFirst(Self.mostEnded) {
                guard let entry = state.entries.removeValue(forKey: old) else { continue }
                state.others[name.route, default: TrafficReading()].add(entry.counters.reading)
            }
        }
    }

    /// By route: everything that was counted since the start.
    var readings: [String: [TrafficReading]] {
        state.withLock { state in
            var readings = state.others.mapValues { [$0] }
            for entry in state.entries.values {
                readings[entry.counters.name.route, default: []].append(entry.counters.reading)
            }
            return readings
        }
    }

    /// In the order of routes, handlers and generations.
    var all: [InstanceCounters] {
        state.withLock { $0.entries.values.map(\.counters) }.sorted {
            let (left, right) = ($0.name, $1.name)
            return (left.route, left.handler, left.generation) < (right.route, right.handler, right.generation)
        }
    }
}
