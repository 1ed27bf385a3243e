import Synchronization

/// What was counted of connections that came from the process before this one.
final class SuccessionCounters: Sendable {
    /// Connections that go on here.
    let taken = Atomic<Int>(0)
    /// Connections that could not.
    let failed = Atomic<Int>(0)
    /// Connections that have been looked at, whatever became of them.
    let seen = Atomic<Int>(0)
}
