extension StatusReport {
    /// A metric that a handler has defined.
    package struct Metric: Sendable, Equatable {
        /// A bucket of a histogram: how many observations lie at or below a bound.
        package struct Bucket: Sendable, Equatable {
            package var bound: Double
            package var count: UInt64

            package init(bound: Double, count: UInt64) {
                self.bound = bound
                self.count = count
            }
        }

        /// `handler_<name>_...`.
        package var name: String
        /// "counter", "gauge" or "histogram".
        package var kind: String
        package var help: String
        package var route: String
        /// The value of a counter or gauge, the sum of a histogram.
        package var value: Double
        /// Of a histogram; empty otherwise.
        package var buckets: [Bucket]
        /// How many observations a histogram has.
        package var count: UInt64

        package init(
            name: String, kind: String, help: String = "", route: String, value: Double, buckets: [Bucket] = [],
            count: UInt64 = 0
        ) {
            self.name = name
            self.kind = kind
            self.help = help
            self.route = route
            self.value = value
            self.buckets = buckets
            self.count = count
        }
    }
}

extension StatusReport.Metric {
    init(_ sample: MetricTable.Sample) {
        let definition = sample.definition
        self.init(
            name: definition.name, kind: "\(definition.kind)", help: definition.help, route: definition.route,
            value: sample.value,
            buckets: zip(MetricTable.bounds, sample.buckets).map { Bucket(bound: $0, count: $1) }, count: sample.count)
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("metric", name)
            writer.member("kind", kind)
            writer.member("help", help)
            writer.member("route", route)
            writer.name(buckets.isEmpty ? "value" : "sum")
            writer.value(value)
            if buckets.isEmpty { return }
            writer.member("count", count)
            writer.name("buckets")
            writer.array(buckets) { writer, bucket in
                writer.object { writer in
                    writer.name("le")
                    writer.value(bucket.bound)
                    writer.member("count", bucket.count)
                }
            }
        }
    }
}
