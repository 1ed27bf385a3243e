import Synchronization

/// Counts durations by their length. One thread observes, any thread reads; nobody waits.
package final class DurationHistogram: Sendable {
    private static let mostBounds = 16

    /// The upper bounds of a kind of duration.
    package struct Bounds: Sendable, Equatable {
        let nanoseconds: [UInt64]
        package let seconds: [Double]

        /// - Parameter microseconds: at most 16 of them, ascending.
        package init(microseconds: [UInt64]) {
            precondition(microseconds.count <= DurationHistogram.mostBounds, "\(microseconds.count) bounds")
            nanoseconds = microseconds.map { $0 * 1000 }
            seconds = microseconds.map { Double($0) / 1e6 }
        }

        /// Of what runs inside the gateway: a microsecond to five seconds.
        package static let callback = Bounds(microseconds: [
            1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000,
        ])
        /// Of what waits for others: 100 microseconds to ten seconds.
        package static let wait = Bounds(microseconds: [
            100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
            5_000_000, 10_000_000,
        ])
        /// Of what people wait for: ten milliseconds to a minute.
        package static let reload = Bounds(microseconds: [
            10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
            60_000_000,
        ])
    }

    private let bounds: Bounds
    /// How many lie in each bucket; the one behind the last bound has no end.
    private let counts = InlineArray<17, Atomic<UInt64>> { _ in Atomic(0) }
    private let sum = Atomic<UInt64>(0)

    package init(_ bounds: Bounds) { self.bounds = bounds }

    /// The one thread that writes it needs no locked instruction.
    package func observe(nanoseconds: UInt64) {
        let index = bucket(nanoseconds)
        counts[index].store(counts[index].load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        sum.store(sum.load(ordering: .relaxed) &+ nanoseconds, ordering: .relaxed)
    }

    /// The same where several threads observe.
    package func observeAmongOthers(nanoseconds: UInt64) {
        counts[bucket(nanoseconds)].wrappingAdd(1, ordering: .relaxed)
        sum.wrappingAdd(nanoseconds, ordering: .relaxed)
    }

    private func bucket(_ nanoseconds: UInt64) -> Int {
        bounds.nanoseconds.firstIndex { nanoseconds <= $0 } ?? bounds.nanoseconds.count
    }

    /// Any thread: what was observed so far.
    package var reading: HistogramReading {
        var read: [UInt64] = []
        for index in 0...bounds.nanoseconds.count { read.append(counts[index].load(ordering: .relaxed)) }
        return HistogramReading(
            bounds: bounds.seconds, counts: read, sum: Double(sum.load(ordering: .relaxed)) / 1e9)
    }
}
