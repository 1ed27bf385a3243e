import Glibc

/// The time on the clock of whoever looks at it.
enum TimeOfDay {
    /// `14:03:27.081`
    static func now() -> String {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return text(time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
    }

    private static func text(_ seconds: Int, milliseconds: Int) -> String {
        var (seconds, parts) = (seconds, unsafe tm())
        _ = unsafe localtime_r(&seconds, &parts)
        func padded(_ number: Int, _ digits: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
        }
        let clock = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec].map { padded(Int($0), 2) }.joined(separator: ":")
        return "\(clock).\(padded(milliseconds, 3))"
    }
}
