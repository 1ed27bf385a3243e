import GatewayMetrics
import Testing

@Suite("Histograms of durations")
struct DurationHistogramTests {
    @Test func `a duration lies in the first bucket whose bound it does not exceed`() {
        let histogram = DurationHistogram(.init(microseconds: [1, 10]))
        for nanoseconds: UInt64 in [0, 1000, 1001, 10_000, 10_001, 5_000_000_000] {
            histogram.observe(nanoseconds: nanoseconds)
        }
        histogram.observeAmongOthers(nanoseconds: 500)
        let reading = histogram.reading
        #expect(reading.bounds == [1e-6, 1e-5])
        #expect(reading.counts == [3, 2, 2])
        #expect(reading.count == 7)
        #expect(reading.cumulative == [3, 5, 7])
        #expect(abs(reading.sum - 5.000022502) < 1e-9)
    }

    @Test func `readings add up`() {
        var sum = HistogramReading(bounds: [1, 2])
        sum.add(.init(bounds: [1, 2], counts: [1, 2, 3], sum: 4))
        sum.add(.init(bounds: [1, 2], counts: [0, 1, 0], sum: 0.5))
        #expect(sum == .init(bounds: [1, 2], counts: [1, 3, 3], sum: 4.5))
    }

    @Test(arguments: [DurationHistogram.Bounds.callback, .wait, .reload])
    func `bounds ascend`(bounds: DurationHistogram.Bounds) {
        #expect(bounds.seconds == bounds.seconds.sorted())
        #expect(Set(bounds.seconds).count == bounds.seconds.count)
        let histogram = DurationHistogram(bounds)
        for bound in bounds.seconds { histogram.observe(nanoseconds: UInt64(bound * 1e9)) }
        #expect(histogram.reading.counts == bounds.seconds.map { _ in 1 } + [0])
    }
}
