import Synchronization

/// Connections of which any thread has changed what their worker writes down of them. Where nothing is written down,
/// nobody notes them.
final class ConnectionChanges: Sendable {
    private let isOn = Atomic(false)
    private let count = Atomic(0)
    private let numbers = Mutex<Set<UInt64>>([])

    /// The worker writes down.
    func begin() { isOn.store(true, ordering: .relaxed) }

    /// Any thread.
    func note(_ connection: UInt64) {
        guard connection != 0, isOn.load(ordering: .relaxed) else { return }
        numbers.withLock { numbers in
            numbers.insert(connection)
            count.store(numbers.count, ordering: .releasing)
        }
    }

    /// The worker: whether there are some.
    var hasSome: Bool { count.load(ordering: .acquiring) != 0 }

    /// The worker.
    func take() -> Set<UInt64> {
        numbers.withLock { numbers in
            defer { numbers = [] }
            count.store(0, ordering: .relaxed)
            return numbers
        }
    }
}
