/// The lines of samples, which look the same in both text formats.
enum SampleLines {
    static func append(_ family: MetricFamily, to text: inout String) {
        for sample in family.samples {
            switch sample.value {
            case .count(let count): line(family.sampleName, sample.labels, "\(count)", to: &text)
            case .number(let number): line(family.sampleName, sample.labels, Self.text(number), to: &text)
            case .histogram(let reading): append(reading, family.name, sample.labels, to: &text)
            }
        }
    }

    private static func append(
        _ reading: HistogramReading, _ name: String, _ labels: [MetricFamily.Label], to text: inout String
    ) {
        let cumulative = reading.cumulative
        for (index, count) in cumulative.enumerated() {
            let bound = index < reading.bounds.count ? Self.text(reading.bounds[index]) : "+Inf"
            line("\(name)_bucket", labels + [.init("le", bound)], "\(count)", to: &text)
        }
        line("\(name)_sum", labels, Self.text(reading.sum), to: &text)
        line("\(name)_count", labels, "\(cumulative.last ?? 0)", to: &text)
    }

    private static func line(
        _ name: String, _ labels: [MetricFamily.Label], _ value: String, to text: inout String
    ) {
        text += name
        if !labels.isEmpty {
            text += "{"
            for (index, label) in labels.enumerated() {
                text += "\(index > 0 ? "," : "")\(label.name)=\"\(escaped(label.value, quotes: true))\""
            }
            text += "}"
        }
        text += " \(value)\n"
    }

    /// A number as both formats write it; a whole one of a bound keeps its ".0", which OpenMetrics asks for.
    static func text(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
        return number.description
    }

    /// Backslash and line feed, and quotes where the text stands in them or OpenMetrics wants that.
    static func escaped(_ text: String, quotes: Bool) -> String {
        guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
