/// Metrics in the text format of OpenMetrics 1.0.0.
///
///     # TYPE gateway_received_bytes counter
///     # UNIT gateway_received_bytes bytes
///     # HELP gateway_received_bytes What came.
///     gateway_received_bytes_total{route="/echo"} 26
///     # EOF
package struct OpenMetricsText {
    package private(set) var text = ""

    package init(_ families: [MetricFamily]) {
        for family in families {
            // "A MetricFamily ... MUST NOT be interleaved", and its metadata stand before its samples.
            text += "# TYPE \(family.name) \(Self.word(family.kind))\n"
            if let unit = family.unit { text += "# UNIT \(family.name) \(unit)\n" }
            text += "# HELP \(family.name) \(SampleLines.escaped(family.help, quotes: true))\n"
            SampleLines.append(family, to: &text)
        }
        // "Expositions MUST END WITH EOF": a scrape that was cut off is seen by its lack.
        text += "# EOF\n"
    }

    private static func word(_ kind: MetricFamily.Kind) -> String {
        switch kind {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        case .info: "info"
        }
    }
}
