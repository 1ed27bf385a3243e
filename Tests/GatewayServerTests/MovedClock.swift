import GatewayIO
import Synchronization

/// A monotonic clock that stands still but when a test moves it.
final class MovedClock: Sendable {
    private let nanoseconds = Atomic<UInt64>(Clock.monotonicNanoseconds())

    /// What it says, as the gateway asks for it.
    var reading: @Sendable () -> UInt64 { { [self] in nanoseconds.load(ordering: .relaxed) } }

    func advance(milliseconds: UInt64) { nanoseconds.add(milliseconds * 1_000_000, ordering: .relaxed) }
}
