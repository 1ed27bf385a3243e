import Glibc

/// The two clocks of the gateway.
public enum Clock {
    /// Nanoseconds of the monotonic clock; a worker reads it once a turn.
    public static func monotonicNanoseconds() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec)
    }

    /// Seconds since 1970, for dates that people read.
    public static func wallSeconds() -> Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME_COARSE, &now)
        return Int64(now.tv_sec)
    }
}
