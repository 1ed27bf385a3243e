/// The numbers of what came for one name, by the gateway that it came from.
///
/// Each gateway numbers its publications to a name one after the other, so that what is doubled or lost can be told.
struct OriginNumbers {
    enum Verdict: Equatable {
        case next
        /// It has come already, or something newer has.
        case doubled
        /// So many are missing in front of it.
        case behind(lost: UInt64)
        /// There is no telling how many are missing.
        case afresh
    }

    /// So many origins are remembered; beyond it the one that was silent longest is forgotten.
    static let mostOrigins = 256
    /// A larger jump is none of loss.
    static let largestJump: UInt64 = 1 << 20

    private struct Last {
        var number: UInt64
        var age: UInt64
    }

    private var last: [UInt64: Last] = [:]
    private var age: UInt64 = 0

    /// What a number means, which is the last one of its origin from now on.
    mutating func take(_ number: UInt64, of origin: UInt64, isFirst: Bool) -> Verdict {
        age += 1
        guard let known = last[origin]?.number else {
            if last.count >= Self.mostOrigins, let oldest = last.min(by: { $0.value.age < $1.value.age })?.key {
                last[oldest] = nil
            }
            last[origin] = Last(number: number, age: age)
            // Whoever has just begun to listen has missed nothing.
            return .next
        }
        if number <= known { return .doubled }
        last[origin] = Last(number: number, age: age)
        if isFirst || number == known + 1 { return .next }
        let missing = number - known - 1
        return missing > Self.largestJump ? .afresh : .behind(lost: missing)
    }

    /// A publication with this number has come, or a newer one.
    func covers(_ number: UInt64, of origin: UInt64) -> Bool { last[origin].map { number <= $0.number } ?? false }

    /// What has come another way has come.
    mutating func join(_ others: OriginNumbers) {
        for (origin, other) in others.last where !covers(other.number, of: origin) {
            _ = take(other.number, of: origin, isFirst: true)
        }
    }

    /// The origin could not send all publications up to a number, the last of which may have been any of them.
    mutating func noteLoss(upTo number: UInt64, of origin: UInt64) -> Verdict {
        guard let known = last[origin]?.number else {
            _ = take(number, of: origin, isFirst: true)
            return .afresh
        }
        if number <= known { return .doubled }
        last[origin]?.number = number
        return number - known > Self.largestJump ? .afresh : .behind(lost: number - known)
    }
}
