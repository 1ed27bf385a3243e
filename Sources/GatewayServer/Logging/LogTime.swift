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

    static func text(seconds: Int64, milliseconds: Int) -> String {
        let digits = String(milliseconds)
        let fraction = String(repeating: "0", count: max(0, 3 - digits.utf8.count)) + digits
        return "\(Timestamp.iso(seconds).dropLast()).\(fraction)Z"
    }
}
