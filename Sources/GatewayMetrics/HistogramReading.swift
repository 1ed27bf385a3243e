/// What a histogram has counted, at one moment.
package struct HistogramReading: Sendable, Equatable {
    /// The upper bound of each bucket but the last, which has none; ascending, in the unit of the metric.
    package let bounds: [Double]
    /// How many observations lie in each bucket, one more than there are bounds.
    package private(set) var counts: [UInt64]
    package private(set) var sum: Double

    package init(bounds: [Double], counts: [UInt64], sum: Double) {
        precondition(counts.count == bounds.count + 1, "\(counts.count) buckets for \(bounds.count) bounds")
        (self.bounds, self.counts, self.sum) = (bounds, counts, sum)
    }

    /// One that has counted nothing.
    package init(bounds: [Double]) {
        self.init(bounds: bounds, counts: Array(repeating: 0, count: bounds.count + 1), sum: 0)
    }

    package var count: UInt64 { counts.reduce(0, &+) }

    /// How many observations lie at or below each bound, and how many there are at all.
    package var cumulative: [UInt64] {
        var total: UInt64 = 0
        return counts.map { count in
            total &+= count
            return total
        }
    }

    /// Adds what another one of the same bounds has counted.
    package mutating func add(_ other: HistogramReading) {
        precondition(bounds == other.bounds, "histograms of different bounds")
        for index in counts.indices { counts[index] &+= other.counts[index] }
        sum += other.sum
    }
}
