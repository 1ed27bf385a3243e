/// Durations as a gateway counts them, in buckets.
package struct TopDurations: Equatable, Sendable {
    /// The upper bounds in seconds; behind the last is another bucket.
    package private(set) var bounds: [Double]
    package private(set) var counts: [Double]

    package init(bounds: [Double] = [], counts: [Double] = []) {
        (self.bounds, self.counts) = (bounds, counts)
    }

    init(_ json: JSONValue?) {
        bounds = json?["bounds_seconds"]?.elements.compactMap(\.number) ?? []
        counts = json?["counts"]?.elements.compactMap(\.number) ?? []
        if counts.count != bounds.count + 1 { (bounds, counts) = ([], []) }
    }

    package mutating func add(_ other: TopDurations) {
        if bounds.isEmpty {
            self = other
        } else if bounds == other.bounds {
            for index in counts.indices { counts[index] += other.counts[index] }
        }
    }

    /// What came since another moment.
    package func since(_ before: TopDurations) -> TopDurations {
        guard bounds == before.bounds else { return self }
        return TopDurations(bounds: bounds, counts: zip(counts, before.counts).map { max(0, $0 - $1) })
    }

    /// The upper bound of the bucket in which that part of all durations ends, as text; "-" of none.
    package func percentile(_ part: Double) -> String {
        let total = counts.reduce(0, +)
        guard total > 0 else { return "-" }
        var seen = 0.0
        for (index, count) in counts.enumerated() {
            seen += count
            if seen >= total * part {
                return index < bounds.count ? Self.text(bounds[index]) : ">" + Self.text(bounds[bounds.count - 1])
            }
        }
        return "-"
    }

    private static func text(_ seconds: Double) -> String {
        let microseconds = Int((seconds * 1e6).rounded())
        if microseconds < 1000 { return "\(microseconds)us" }
        return microseconds < 1_000_000 ? "\(microseconds / 1000)ms" : "\(microseconds / 1_000_000)s"
    }
}
