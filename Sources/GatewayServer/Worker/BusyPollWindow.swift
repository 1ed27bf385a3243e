/// For how long a worker has had nothing to do, as far as `busy_poll` is concerned.
struct BusyPollWindow {
    /// The time of the first look that found nothing; nil while there is something at every look.
    private var since: UInt64?

    /// Notes what a look at the poller found.
    @inline(__always)
    mutating func note(events: Int, now: UInt64) {
        if events > 0 { since = nil } else if since == nil { since = now }
    }

    /// Whether the next look is at once instead of after a sleep.
    @inline(__always)
    func looksAgain(for duration: UInt64, now: UInt64) -> Bool {
        guard duration > 0 else { return false }
        guard let since else { return true }
        return now &- since < duration
    }
}
