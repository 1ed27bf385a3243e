import GatewayMetrics
import Testing

@Suite("Samples: labels, numbers, buckets")
struct SampleLinesTests {
    private func lines(_ family: MetricFamily) -> [String] {
        PrometheusText([family]).text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { String($0) }
    }

    @Test(arguments: [
        (#"a"b"#, #"a\"b"#), (#"a\b"#, #"a\\b"#), ("a\nb", #"a\nb"#), ("é{,=}", "é{,=}"), ("", ""),
        ("a\r\nb", "a\r\\nb"),
    ])
    func `values of labels are escaped`(value: String, written: String) {
        #expect(
            lines(MetricFamily("m", .gauge, help: "", samples: [.init([.init("l", value)], .count(1))]))
                == ["m{l=\"\(written)\"} 1"])
    }

    @Test(arguments: [
        (0.0, "0.0"), (1.5, "1.5"), (1e-06, "1e-06"), (2.5e20, "2.5e+20"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
        (.nan, "NaN"),
    ])
    func `numbers are those of a float that everybody reads`(number: Double, written: String) {
        #expect(lines(MetricFamily("m", .gauge, help: "", samples: [.init(.number(number))])) == ["m \(written)"])
    }

    @Test func `buckets count what lies at or below their bound, and the last is all`() {
        let reading = HistogramReading(bounds: [0.001, 1], counts: [2, 0, 3], sum: 7.25)
        #expect(
            lines(MetricFamily("m", .histogram, help: "", samples: [.init([.init("r", "x")], .histogram(reading))]))
                == [
                    #"m_bucket{r="x",le="0.001"} 2"#, #"m_bucket{r="x",le="1.0"} 2"#, #"m_bucket{r="x",le="+Inf"} 5"#,
                    #"m_sum{r="x"} 7.25"#, #"m_count{r="x"} 5"#,
                ])
    }
}
