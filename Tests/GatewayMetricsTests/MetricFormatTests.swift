import GatewayMetrics
import Testing

@Suite("What a scraper accepts")
struct MetricFormatTests {
    @Test(arguments: [
        // Prometheus 2.42.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            MetricFormat.openMetrics
        ),
        ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", .openMetrics),
        ("application/openmetrics-text", .openMetrics),
        ("Application/OpenMetrics-Text ; Q=0.5, text/plain;q=0.5", .openMetrics),
        ("application/openmetrics-text;q=0.4, text/plain;q=0.5", .prometheus),
        ("application/openmetrics-text;q=0", .prometheus),
        ("application/openmetrics-text;q=high", .prometheus),
        ("application/openmetrics-text;version=2.0.0", .prometheus),
        ("text/plain", .prometheus), ("*/*", .prometheus), ("", .prometheus), (" ,;,", .prometheus),
        ("text/html,application/xhtml+xml;q=0.9", .prometheus),
    ])
    func `its Accept header decides`(accept: String, format: MetricFormat) {
        #expect(MetricFormat(accept: accept) == format)
    }

    @Test func `the type says which it is`() {
        #expect(MetricFormat.openMetrics.contentType == "application/openmetrics-text; version=1.0.0; charset=utf-8")
        #expect(MetricFormat.prometheus.contentType == "text/plain; version=0.0.4; charset=utf-8")
        #expect(MetricFormat.openMetrics.text([]) == "# EOF\n")
        #expect(MetricFormat.prometheus.text([]) == "")
    }
}
