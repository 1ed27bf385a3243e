/// A metric with all its samples, as they are at one moment.
package struct MetricFamily: Sendable, Equatable {
    package enum Kind: Sendable {
        case counter
        case gauge
        case histogram
        /// Facts as labels, whose value is 1.
        case info
    }

    package struct Label: Sendable, Equatable {
        package let name: String
        package let value: String

        package init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }

    package enum Value: Sendable, Equatable {
        case count(UInt64)
        case number(Double)
        case histogram(HistogramReading)
    }

    package struct Sample: Sendable, Equatable {
        package let labels: [Label]
        package let value: Value

        package init(_ labels: [Label], _ value: Value) { (self.labels, self.value) = (labels, value) }
        package init(_ value: Value) { self.init([], value) }
    }

    /// Without the suffix that the kind gives to samples, such as `_total`.
    package let name: String
    package let kind: Kind
    /// What one of it is, such as `seconds`: the name ends in it. Nil for things that are counted.
    package let unit: String?
    package let help: String
    package var samples: [Sample]

    /// - Parameter name: with or without the suffix of its kind.
    package init(
        _ name: String, _ kind: Kind, unit: String? = nil, help: String, samples: [Sample] = []
    ) {
        let suffix = kind.suffix
        self.name = !suffix.isEmpty && name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : name
        self.kind = kind
        self.unit = unit
        self.help = help
        self.samples = samples
    }

    /// The name of its only line for each sample; that of a histogram stands in front of several.
    package var sampleName: String { name + kind.suffix }
}

extension MetricFamily.Kind {
    /// What the names of its samples end in.
    package var suffix: String {
        switch self {
        case .counter: "_total"
        case .info: "_info"
        case .gauge, .histogram: ""
        }
    }
}
