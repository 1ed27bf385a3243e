import GatewayMetrics
import HandlerModules
import Synchronization

/// What the process of a handler has counted since it began, for the first process, which is asked for it.
struct ProcessTally: Sendable {
    /// What became of peers of a route that cost too much, as `CostCounters` counts.
    struct Costs: Sendable, Equatable {
        var writeTimeouts: UInt64 = 0
        var closed: UInt64 = 0
        var droppedNew: UInt64 = 0
        var droppedOld: UInt64 = 0
        var pausedReads: UInt64 = 0
    }

    struct RouteTally: Sendable {
        var route: String
        var reading = TrafficReading()
        var failures: UInt64 = 0
        var stalls: UInt64 = 0
        var costs = Costs()
    }

    /// A metric that the handler has defined.
    struct OwnMetric: Sendable {
        var name: String
        var help: String
        var kind: Int32
        var route: String
        var value: Double
        var buckets: [UInt64]
        var count: UInt64
    }

    struct Rejected: Sendable {
        var word: String
        var count: UInt64
    }

    /// Of memory.
    var residentBytes: UInt64 = 0
    var routes: [RouteTally] = []
    var rejections: [Rejected] = []
    var metrics: [OwnMetric] = []
}

extension ProcessTally {
    /// As it is now.
    init(_ server: Server) {
        residentBytes = ProcessUsage()?.residentBytes ?? 0
        for serving in server.handlerManager.handlers.values.compactMap(\.serving) {
            for (name, served) in serving.instances {
                var tally = RouteTally(route: name, reading: served.instanceContext.counters.reading)
                tally.failures = UInt64(
                    clamping: unsafe served.bindings.reduce(0) {
                        unsafe $0 + $1.pointee.failures.load(ordering: .relaxed)
                    })
                tally.stalls = UInt64(clamping: served.instance.crashSite.stalls)
                tally.costs = unsafe Costs(served.binding.pointee.route.costs)
                routes.append(tally)
            }
        }
        rejections = server.context.rejections.all.map { Rejected(word: $0.word, count: $0.count) }
        metrics = server.context.metrics.samples().map { sample in
            OwnMetric(
                name: sample.definition.name, help: sample.definition.help, kind: sample.definition.kind.rawValue,
                route: sample.definition.route, value: sample.value, buckets: sample.buckets, count: sample.count)
        }
    }
}

extension ProcessTally.Costs {
    init(_ counters: CostCounters) {
        writeTimeouts = UInt64(clamping: counters.writeTimeouts.load(ordering: .relaxed))
        closed = UInt64(clamping: counters.closed.load(ordering: .relaxed))
        droppedNew = UInt64(clamping: counters.droppedNew.load(ordering: .relaxed))
        droppedOld = UInt64(clamping: counters.droppedOld.load(ordering: .relaxed))
        pausedReads = UInt64(clamping: counters.pausedReads.load(ordering: .relaxed))
    }

    /// Adds to the counters of a route what has been counted since.
    func add(to counters: CostCounters, since before: Self) {
        counters.writeTimeouts.add(Int(clamping: writeTimeouts &- before.writeTimeouts), ordering: .relaxed)
        counters.closed.add(Int(clamping: closed &- before.closed), ordering: .relaxed)
        counters.droppedNew.add(Int(clamping: droppedNew &- before.droppedNew), ordering: .relaxed)
        counters.droppedOld.add(Int(clamping: droppedOld &- before.droppedOld), ordering: .relaxed)
        counters.pausedReads.add(Int(clamping: pausedReads &- before.pausedReads), ordering: .relaxed)
    }
}

// MARK: On the wire

extension ProcessTally {
    func put(_ writer: inout MessageFieldWriter) {
        for each in routes { writer.put(1, each.bytes) }
        for each in rejections {
            var inner = MessageFieldWriter()
            inner.put(1, each.word)
            inner.put(2, each.count)
            writer.put(2, inner.bytes)
        }
        for each in metrics { writer.put(3, each.bytes) }
        // By the mebibyte: what is a little more or less is nothing new.
        writer.put(4, residentBytes >> 20)
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        for bytes in fields.all(1) { routes.append(try RouteTally(MessageFieldReader(bytes, of: "tally"))) }
        for bytes in fields.all(2) {
            let inner = try MessageFieldReader(bytes, of: "rejections")
            rejections.append(Rejected(word: try inner.demand(inner.text(1), 1), count: try inner.number(2)))
        }
        let mebibytes: UInt64 = try fields.number(4)
        residentBytes = mebibytes &<< 20
        for bytes in fields.all(3) { metrics.append(try OwnMetric(MessageFieldReader(bytes, of: "metric"))) }
    }
}

extension ProcessTally.RouteTally {
    fileprivate var bytes: [UInt8] {
        var writer = MessageFieldWriter()
        writer.put(1, route)
        writer.put(2, failures)
        writer.put(3, stalls)
        for count in [
            costs.writeTimeouts, costs.closed, costs.droppedNew, costs.droppedOld, costs.pausedReads,
        ] { writer.put(4, count) }
        reading.put(&writer)
        return writer.bytes
    }

    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init(route: try fields.demand(fields.text(1), 1))
        (failures, stalls) = (try fields.number(2), try fields.number(3))
        let counts = try fields.numbers(4)
        guard counts.count == 5 else { throw fields.failure("\(counts.count) costs, which should be 5") }
        costs = .init(
            writeTimeouts: counts[0], closed: counts[1], droppedNew: counts[2], droppedOld: counts[3],
            pausedReads: counts[4])
        reading = try TrafficReading(fields)
    }
}

extension ProcessTally.OwnMetric {
    fileprivate var bytes: [UInt8] {
        var writer = MessageFieldWriter()
        writer.put(1, name)
        writer.put(2, help)
        writer.put(3, UInt32(bitPattern: kind))
        writer.put(4, route)
        writer.put(5, value.bitPattern)
        writer.put(6, count)
        for bucket in buckets { writer.put(7, bucket) }
        return writer.bytes
    }

    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        let kind: UInt32 = try fields.number(3)
        let value: UInt64 = try fields.number(5)
        self.init(
            name: try fields.demand(fields.text(1), 1), help: try fields.text(2) ?? "",
            kind: Int32(bitPattern: kind), route: try fields.text(4) ?? "", value: Double(bitPattern: value),
            buckets: try fields.numbers(7), count: try fields.number(6))
    }
}

extension IsolatedHandler {
    /// The metrics that it has defined, as they were a moment ago.
    var samples: [MetricTable.Sample] {
        tallies.metrics.compactMap { metric in
            guard let kind = MetricTable.Kind(rawValue: metric.kind) else { return nil }
            let definition = MetricTable.Definition(
                name: metric.name, help: metric.help, kind: kind, module: 0, route: metric.route)
            return MetricTable.Sample(
                definition: definition, value: metric.value, buckets: metric.buckets, count: metric.count)
        }
    }
}
