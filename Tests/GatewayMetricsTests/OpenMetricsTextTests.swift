import GatewayMetrics
import Testing

@Suite("OpenMetrics 1.0.0: the text format")
struct OpenMetricsTextTests {
    @Test func `a counter has its suffix in samples alone, its unit at the end of its name`() {
        let family = MetricFamily(
            "gateway_received_bytes_total", .counter, unit: "bytes", help: "What came.",
            samples: [.init([.init("route", "/echo")], .count(26))])
        #expect(
            OpenMetricsText([family]).text == """
                # TYPE gateway_received_bytes counter
                # UNIT gateway_received_bytes bytes
                # HELP gateway_received_bytes What came.
                gateway_received_bytes_total{route="/echo"} 26
                # EOF

                """)
    }

    @Test func `facts are an info whose value is 1`() {
        let family = MetricFamily(
            "gateway_build_info", .info, help: "h", samples: [.init([.init("version", "1")], .count(1))])
        #expect(
            OpenMetricsText([family]).text == """
                # TYPE gateway_build info
                # HELP gateway_build h
                gateway_build_info{version="1"} 1
                # EOF

                """)
    }

    @Test func `metadata without samples, and an end`() {
        #expect(
            OpenMetricsText([MetricFamily("a_b", .gauge, help: "h")]).text
                == "# TYPE a_b gauge\n# HELP a_b h\n# EOF\n")
        #expect(OpenMetricsText([]).text == "# EOF\n")
    }

    @Test func `quotes in help are escaped, too`() {
        let family = MetricFamily("a", .gauge, help: "the \"b\"\nof c:\\")
        #expect(OpenMetricsText([family]).text.contains(#"# HELP a the \"b\"\nof c:\\"#))
    }
}
