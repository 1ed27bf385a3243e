import CLinux
import GatewayControl
import Glibc

/// The time at the front of each line: UTC, with milliseconds and its zone.
enum LogTime {
    /// `2026-01-31T23:59:59.123Z`, of now.
    static func now() -> String {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return text(seconds: Int64(now.tv_sec), milliseconds: now.tv_nsec / 1_000_000)
    }

    /// Since 1970.
    static func wallNanoseconds() -> Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec)
    }

    static func text(seconds: Int64, milliseconds: Int) -> String { text(seconds, milliseconds, digits: 3) }

    /// For what comes quickly one after the other.
    static func text(seconds: Int64, microseconds: Int) -> String { text(seconds, microseconds, digits: 6) }

    private static func text(_ seconds: Int64, _ fraction: Int, digits: Int) -> String {
        let shown = String(fraction)
        let zeros = String(repeating: "0", count: max(0, digits - shown.utf8.count))
        return "\(Timestamp.iso(seconds).dropLast()).\(zeros)\(shown)Z"
    }
}
