import Synchronization

/// Lets one line through for what may happen to thousands of peers at once, and says with the next one how many it held
/// back. Any thread.
final class SparseLog: Sendable {
    private struct State {
        /// Monotonic nanoseconds; nil before the first line.
        var at: UInt64?
        var heldBack = 0
    }

    private static let interval: UInt64 = 1_000_000_000
    private let state = Mutex(State())

    /// What a line has to say of those before it; nil when it is not to be written.
    func admit(at now: UInt64) -> String? {
        state.withLock { state in
            if let at = state.at, now - min(now, at) < Self.interval {
                state.heldBack += 1
                return nil
            }
            defer { state = State(at: now) }
            return state.heldBack == 0 ? "" : " (\(state.heldBack) more since the last such line)"
        }
    }
}
