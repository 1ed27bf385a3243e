/// How metrics are written: what a scraper asks for in its Accept header decides.
package enum MetricFormat: Sendable, Equatable {
    /// OpenMetrics 1.0.0.
    case openMetrics
    /// The text format 0.0.4 of Prometheus, which everybody reads.
    case prometheus

    package var contentType: String {
        switch self {
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        }
    }

    /// - Parameter accept: the values of the Accept header (RFC 9110 12.5.1), joined by commas.
    package init(accept: String) {
        var openMetrics = 0.0
        var plain = 0.0
        for element in accept.split(separator: ",") {
            let parts = element.split(separator: ";").map { Self.trimmed($0).lowercased() }
            guard let type = parts.first else { continue }
            var quality = 1.0
            var isKnown = true
            for part in parts.dropFirst() {
                if part.hasPrefix("q=") { quality = Double(part.dropFirst(2)) ?? 0 }
                // Of another major version nothing is known here. 0.0.1 was its draft, and what asks for that reads 1.0.0.
                if part.hasPrefix("version="), type == "application/openmetrics-text" {
                    isKnown = ["1.0.0", "0.0.1"].contains(part.dropFirst(8).filter { $0 != "\"" })
                }
            }
            switch type {
            case "application/openmetrics-text" where isKnown: openMetrics = max(openMetrics, quality)
            case "text/plain": plain = max(plain, quality)
            default: continue
            }
        }
        self = openMetrics > 0 && openMetrics >= plain ? .openMetrics : .prometheus
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let rest = text.drop { $0 == " " || $0 == "\t" }
        let end = rest.lastIndex { $0 != " " && $0 != "\t" }
        return end.map { rest[...$0] } ?? ""
    }

    /// The metrics as text.
    package func text(_ families: [MetricFamily]) -> String {
        switch self {
        case .openMetrics: OpenMetricsText(families).text
        case .prometheus: PrometheusText(families).text
        }
    }
}
