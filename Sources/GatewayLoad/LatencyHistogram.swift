import Bytes
package import GatewayIO
import Glibc

/// How often each duration came, in nanoseconds, kept within 1.6 % at any size.
///
/// 64 steps for each power of two: adding is a shift and an addition, and no value is too large.
package struct LatencyHistogram: ~Copyable {
    private static let steps: UInt64 = 64
    private static let stepBits: UInt64 = 6
    private let buckets: ReservedArray<UInt64>
    package private(set) var count: UInt64 = 0
    package private(set) var maximum: UInt64 = 0

    package init() throws(Errno) {
        // The highest bucket is that of the value with all 64 bits: 59 groups of 64.
        guard let buckets = ReservedArray<UInt64>(capacity: Int(Self.steps) * 60) else { throw Errno(ENOMEM) }
        self.buckets = buckets
    }

    @inline(__always)
    package mutating func add(_ nanoseconds: UInt64) {
        // Not `&+=`: with the thread sanitizer the compiler (6.3.1) makes invalid code of it.
        let bucket = Self.bucket(of: nanoseconds)
        buckets[bucket] = buckets[bucket] &+ 1
        count &+= 1
        if nanoseconds > maximum { maximum = nanoseconds }
    }

    @inline(__always)
    private static func bucket(of value: UInt64) -> UInt32 {
        if value < steps { return UInt32(truncatingIfNeeded: value) }
        let shift = 63 &- UInt64(truncatingIfNeeded: value.leadingZeroBitCount) &- stepBits
        return UInt32(truncatingIfNeeded: (shift &+ 1) &* steps &+ (value &>> shift) &- steps)
    }

    /// The duration that this share of all stays below, from the middle of its bucket; nil when there are none.
    package func quantile(_ share: Double) -> UInt64? {
        guard count > 0 else { return nil }
        let wanted = share * Double(count)
        var seen: UInt64 = 0
        for index in 0..<UInt32(buckets.capacity) {
            seen &+= buckets[index]
            guard Double(seen) > wanted else { continue }
            let wide = UInt64(index)
            if wide < Self.steps { return wide }
            let shift = wide / Self.steps &- 1
            let low = (wide % Self.steps &+ Self.steps) &<< shift
            return min(low &+ ((1 as UInt64) &<< shift) / 2, maximum)
        }
        return maximum
    }
}
