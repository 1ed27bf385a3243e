import Synchronization

/// Lets through some lines of a kind that peers can cause as often as they like, and counts the others. Any thread.
final class LogLimiter: Sendable {
    private struct State {
        var since: UInt64 = 0
        var written = 0
        var skipped = 0
    }

    private let most: Int
    private let nanoseconds: UInt64
    private let state = Mutex(State())

    /// - Parameter most: lines in so many seconds.
    init(_ most: Int, inSeconds seconds: UInt64) {
        self.most = most
        nanoseconds = seconds * 1_000_000_000
    }

    /// Asks for one line.
    ///
    /// - Parameter now: monotonic nanoseconds.
    /// - Returns: how many were left out since the last one; nil when this one is as well.
    func admit(at now: UInt64) -> Int? {
        state.withLock { state in
            // Threads do not look at the clock in the order in which they come here.
            if now > state.since, now - state.since >= nanoseconds { (state.since, state.written) = (now, 0) }
            guard state.written < most else {
                state.skipped += 1
                return nil
            }
            state.written += 1
            defer { state.skipped = 0 }
            return state.skipped
        }
    }
}
