import Glibc

/// Points in time and stretches of it as people and programs read them; always UTC.
package enum Timestamp {
    /// `2026-01-31T23:59:59Z`, for programs.
    package static func iso(_ seconds: Int64) -> String {
        let (date, time) = parts(seconds)
        return "\(date)T\(time)Z"
    }

    /// `2026-01-31 23:59:59 UTC`, for people.
    package static func text(_ seconds: Int64) -> String {
        let (date, time) = parts(seconds)
        return "\(date) \(time) UTC"
    }

    /// The two largest units: `3d 4h`, `3h 12m`, `5m 10s`, `42s`, `0.8s`.
    package static func duration(milliseconds: UInt64) -> String {
        let seconds = milliseconds / 1000
        switch seconds {
        case 0..<10: return "\(seconds).\(milliseconds % 1000 / 100)s"
        case ..<60: return "\(seconds)s"
        case ..<3600: return "\(seconds / 60)m \(seconds % 60)s"
        case ..<86400: return "\(seconds / 3600)h \(seconds / 60 % 60)m"
        default: return "\(seconds / 86400)d \(seconds / 3600 % 24)h"
        }
    }

    private static func parts(_ seconds: Int64) -> (date: String, time: String) {
        // The years 1970 to 9999, whatever a file system claims.
        var seconds = time_t(min(max(seconds, 0), 253_402_300_799))
        var parts = unsafe tm()
        _ = unsafe gmtime_r(&seconds, &parts)
        let (year, month, day) = unsafe (parts.tm_year &+ 1900, parts.tm_mon &+ 1, parts.tm_mday)
        let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
        return ("\(year)-\(two(month))-\(two(day))", "\(two(hour)):\(two(minute)):\(two(second))")
    }

    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
