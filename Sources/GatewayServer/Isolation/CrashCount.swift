/// How often the process of a handler has died of late, and what follows from that.
struct CrashCount {
    /// So many within a minute are too many.
    private static let most = 5
    private static let window: UInt64 = 60_000_000_000
    private static let firstPause: UInt64 = 100_000_000
    private static let longestPause: UInt64 = 30_000_000_000

    /// When, in monotonic nanoseconds; a minute without one forgets them.
    private var times: [UInt64] = []

    /// - Returns: how long to wait before the next process, in nanoseconds; the first one comes at once. Nil where there is to
    ///   be none.
    mutating func note(at now: UInt64) -> UInt64? {
        if let last = times.last, now &- last >= Self.window { times = [] }
        times.append(now)
        let recent = times.count { now &- $0 < Self.window }
        if recent >= Self.most { return nil }
        if times.count == 1 { return 0 }
        return min(Self.longestPause, Self.firstPause &<< UInt64(min(times.count - 2, 16)))
    }
}
