import GatewayMetrics
import Testing

@Suite("Prometheus text 0.0.4")
struct PrometheusTextTests {
    @Test func `names are those of the samples, and there is no unit and no end`() {
        let families = [
            MetricFamily(
                "gateway_received_bytes_total", .counter, unit: "bytes", help: "a \"b\"\\\n",
                samples: [.init([.init("route", "/e"), .init("handler", "h")], .count(26)), .init(.count(1))]),
            MetricFamily("gateway_build_info", .info, help: "h", samples: [.init(.count(1))]),
            MetricFamily("g", .gauge, help: "h", samples: [.init(.number(-0.5))]),
        ]
        #expect(
            PrometheusText(families).text == #"""
                # HELP gateway_received_bytes_total a "b"\\\n
                # TYPE gateway_received_bytes_total counter
                gateway_received_bytes_total{route="/e",handler="h"} 26
                gateway_received_bytes_total 1
                # HELP gateway_build_info h
                # TYPE gateway_build_info gauge
                gateway_build_info 1
                # HELP g h
                # TYPE g gauge
                g -0.5

                """#)
    }
}
