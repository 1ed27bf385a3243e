/// What a run came to: figures with names, as a table or as JSON.
package struct LoadReport: Sendable {
    package enum Value: Equatable, Sendable {
        case text(String)
        case count(Int)
        /// With so many digits behind the point.
        case decimal(Double, Int)
        /// There is none, for lack of messages.
        case missing
    }

    package private(set) var figures: [(name: String, value: Value)] = []
    package let faults: Faults
    package let timeline: Timeline?

    package init(faults: Faults = Faults(), timeline: Timeline? = nil) {
        self.faults = faults
        self.timeline = timeline
    }

    package mutating func add(_ name: String, _ value: Value) { figures.append((name, value)) }

    /// Nothing was lost, changed or refused, and something was done.
    package var isGood: Bool { faults.isEmpty }

    /// One line each, names as in JSON.
    package var table: String {
        let width = (figures.map(\.name.count).max() ?? 0) + 2
        var text = ""
        for (name, value) in figures {
            text += name + String(repeating: " ", count: width - name.count) + Self.plain(value) + "\n"
        }
        guard let timeline else { return text }
        text += "\n    from_ms   messages     max_us\n"
        for (index, bucket) in timeline.buckets.enumerated() {
            let columns = [
                String(index * timeline.milliseconds), String(bucket.messages),
                Self.fixed(Double(bucket.worst) / 1e3, digits: 1),
            ]
            text += columns.map { String(repeating: " ", count: max(1, 11 - $0.count)) + $0 }.joined() + "\n"
        }
        return text
    }

    /// One object, in one line.
    package var json: String {
        var members = figures.map { "\"\($0.name)\": \(Self.json($0.value))" }
        if let timeline {
            let rows = timeline.buckets.enumerated().map { index, bucket in
                let worst = Self.fixed(Double(bucket.worst) / 1e3, digits: 1)
                return "[\(index * timeline.milliseconds), \(bucket.messages), \(worst)]"
            }
            members.append("\"timeline\": [\(rows.joined(separator: ", "))]")
        }
        return "{" + members.joined(separator: ", ") + "}\n"
    }

    private static func plain(_ value: Value) -> String {
        switch value {
        case .text(let text): text
        case .count(let count): String(count)
        case .decimal(let number, let digits): fixed(number, digits: digits)
        case .missing: "-"
        }
    }

    private static func json(_ value: Value) -> String {
        switch value {
        case .text(let text): "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
        case .count, .decimal: plain(value)
        case .missing: "null"
        }
    }

    /// A number with so many digits behind the point; what is no number is 0.
    package static func fixed(_ number: Double, digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        guard let scaled = Int(exactly: (number * Double(scale)).rounded()) else { return "0" }
        let magnitude = scaled.magnitude
        let sign = scaled < 0 ? "-" : ""
        guard digits > 0 else { return sign + String(magnitude) }
        let rest = String(magnitude % UInt(scale))
        let zeros = String(repeating: "0", count: digits - rest.count)
        return "\(sign)\(magnitude / UInt(scale)).\(zeros)\(rest)"
    }
}
