/// Metrics in the text format of Prometheus, version 0.0.4.
///
///     # HELP gateway_received_bytes_total What came.
///     # TYPE gateway_received_bytes_total counter
///     gateway_received_bytes_total{route="/echo"} 26
package struct PrometheusText {
    package private(set) var text = ""

    package init(_ families: [MetricFamily]) {
        for family in families {
            // Here a name is that of its samples.
            text += "# HELP \(family.sampleName) \(SampleLines.escaped(family.help, quotes: false))\n"
            text += "# TYPE \(family.sampleName) \(Self.word(family.kind))\n"
            SampleLines.append(family, to: &text)
        }
    }

    private static func word(_ kind: MetricFamily.Kind) -> String {
        switch kind {
        case .counter: "counter"
        case .gauge, .info: "gauge"
        case .histogram: "histogram"
        }
    }
}
