import GatewayLoad
import Testing

@Suite("LatencyHistogram: quantiles within 1.6 %")
struct LatencyHistogramTests {
    @Test(arguments: [0, 1, 63, 64, 65, 127, 128, 1000, 123_456_789, UInt64.max / 2, UInt64.max])
    func `one value is its own median`(_ value: UInt64) throws {
        var histogram = try LatencyHistogram()
        histogram.add(value)
        let found = histogram.quantile(0.5)
        let median = try #require(found)
        let difference = Double(median > value ? median - value : value - median)
        #expect(difference <= Double(value) * 0.016)
        let maximum = histogram.maximum
        #expect(maximum == value)
    }

    @Test(arguments: [(0.5, 500.0), (0.9, 900), (0.99, 990), (0.999, 999)])
    func `a quantile lies above its share`(_ share: Double, _ expected: Double) throws {
        var histogram = try LatencyHistogram()
        for value in 1...1000 { histogram.add(UInt64(value)) }
        let quantile = histogram.quantile(share)
        let found = Double(try #require(quantile))
        #expect(abs(found - expected) <= expected * 0.017)
    }

    @Test func `without values there is no quantile`() throws {
        let histogram = try LatencyHistogram()
        let none = histogram.quantile(0.5) == nil
        #expect(none)
    }

    @Test func `the highest quantile is at most the maximum`() throws {
        var histogram = try LatencyHistogram()
        histogram.add(1_000_001)
        let found = histogram.quantile(1)
        #expect(found == 1_000_001)
    }
}
