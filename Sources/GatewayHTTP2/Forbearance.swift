/// How many frames that an honest peer sends seldom are put up with: so many at once, and some more each second.
struct Forbearance {
    private static let atOnce = 100
    private static let perSecond: UInt64 = 10

    private var left = atOnce
    private var since: UInt64 = 0

    /// One more has come.
    ///
    /// - Parameter now: nanoseconds of the monotonic clock.
    /// - Returns: false when it is one too many.
    mutating func bears(at now: UInt64) -> Bool {
        let earned = (now &- since) / 1_000_000_000 &* Self.perSecond
        if earned > 0 {
            left = min(Self.atOnce, left + Int(clamping: earned))
            since = now
        }
        left -= 1
        return left >= 0
    }
}
