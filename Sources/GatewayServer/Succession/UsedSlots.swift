import Synchronization

/// Which places of the connection tables have been used, worker by worker.
final class UsedSlots: Sendable {
    struct Count: Sendable {
        /// Slots below it.
        let used: UInt32
        /// The highest that there was.
        let serial: UInt32
    }

    private let counts = Mutex<[UInt8: Count]>([:])

    func note(_ used: UInt32, _ serial: UInt32, of worker: UInt8) {
        counts.withLock { $0[worker] = Count(used: used, serial: serial) }
    }

    subscript(worker: UInt8) -> Count? { counts.withLock { $0[worker] } }
}
