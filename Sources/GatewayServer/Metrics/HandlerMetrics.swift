import GatewayControl
import GatewayMetrics

/// What is counted of handlers: their generations and reloads, and what they count themselves.
enum HandlerMetrics {
    private static let states: [StatusReport.Generation.State] = [.live, .retiring, .ended, .pinned]

    static func families(_ reports: [StatusReport.Handler], _ handlerManager: HandlerManager) -> [MetricFamily] {
        let services = handlerManager.handlers.values.sorted { $0.name < $1.name }
        return [
            MetricFamily(
                "gateway_handler_generations", .gauge,
                help: "Loaded copies of a handler: live gets new connections, retiring keeps those it has, ended has"
                    + " none, pinned the same and its image stays in memory.",
                samples: reports.flatMap { report in
                    states.map { state in
                        .init(
                            [.init("handler", report.name), .init("state", state.rawValue)],
                            .count(UInt64(report.generations.count { $0.state == state })))
                    }
                }),
            MetricFamily(
                "gateway_handler_errors_total", .counter,
                help: "Callbacks that failed, and requests that a handler left open too long; by generation.",
                samples: reports.flatMap { report in
                    byNumber(report.generations, \.errors).map {
                        .init([.init("handler", report.name), .init("generation", "\($0.number)")], .count($0.count))
                    }
                }),
            MetricFamily(
                "gateway_callback_stalls_total", .counter,
                help: "Callbacks that held up a loop for longer than callback_stall; by generation.",
                samples: reports.flatMap { report in
                    byNumber(report.generations, \.stalls).map {
                        .init([.init("handler", report.name), .init("generation", "\($0.number)")], .count($0.count))
                    }
                }),
            MetricFamily(
                "gateway_reloads_total", .counter,
                help: "Replacements of a handler that were asked for or set off by its file: switched, refused (the"
                    + " generation before serves on), unchanged.",
                samples: services.flatMap { service in
                    ReloadOutcome.Result.allCases.map {
                        .init(
                            [.init("handler", service.name), .init("result", $0.rawValue)],
                            .count(service.reloadCounts[$0] ?? 0))
                    }
                }),
            MetricFamily(
                "gateway_worker_process_restarts_total", .counter,
                help: "Processes of handlers (isolation process) that died and were started again.",
                samples: services.filter { $0.serving?.isolated != nil || $0.processDeaths > 0 }.map {
                    .init([.init("handler", $0.name)], .count($0.processDeaths))
                }),
            MetricFamily(
                "gateway_reload_duration_seconds", .histogram, unit: "seconds",
                help: "From a request to the first pass of all workers, where a handler was replaced.",
                samples: services.map { .init([.init("handler", $0.name)], .histogram($0.reloadDurations.reading)) }),
        ]
    }

    /// A generation stands there twice when routes have left it that still have connections.
    private static func byNumber(
        _ generations: [StatusReport.Generation], _ count: (StatusReport.Generation) -> Int
    ) -> [(number: UInt64, count: UInt64)] {
        var counts: [UInt64: UInt64] = [:]
        for generation in generations {
            counts[generation.number, default: 0] &+= UInt64(clamping: count(generation))
        }
        return counts.sorted { $0.key < $1.key }.map { (number: $0.key, count: $0.value) }
    }

    /// What handlers have defined (gw.metrics/1), with a label of the route. One name is one metric, whichever routes it
    /// has.
    static func own(_ samples: [MetricTable.Sample]) -> [MetricFamily] {
        var families: [MetricFamily] = []
        var places: [String: Int] = [:]
        var taken: Set<String> = []
        for sample in samples {
            let definition = sample.definition
            let new = MetricFamily(definition.name, definition.kind.ofFamily, help: definition.help)
            if places[new.name] == nil, taken.isDisjoint(with: new.lineNames) {
                places[new.name] = families.count
                taken.formUnion(new.lineNames)
                families.append(new)
            }
            let labels = [MetricFamily.Label("route", definition.route)]
            // Another kind, or the same thing twice (`jobs` and `jobs_total`), would make the whole page unreadable.
            guard let place = places[new.name], families[place].kind == new.kind,
                families[place].samples.allSatisfy({ $0.labels != labels })
            else { continue }
            families[place].samples.append(.init(labels, value(sample)))
        }
        return families
    }

    private static func value(_ sample: MetricTable.Sample) -> MetricFamily.Value {
        guard sample.definition.kind == .histogram else { return .number(sample.value) }
        var below: UInt64 = 0
        var counts: [UInt64] = []
        for cumulative in sample.buckets + [sample.count] {
            // It is observed while it is read.
            counts.append(cumulative > below ? cumulative - below : 0)
            below = max(below, cumulative)
        }
        return .histogram(HistogramReading(bounds: MetricTable.bounds, counts: counts, sum: sample.value))
    }
}

extension MetricTable.Kind {
    fileprivate var ofFamily: MetricFamily.Kind {
        switch self {
        case .counter: .counter
        case .gauge: .gauge
        case .histogram: .histogram
        }
    }
}

extension MetricFamily {
    /// What its lines begin with.
    fileprivate var lineNames: Set<String> {
        kind == .histogram ? [name, "\(name)_bucket", "\(name)_sum", "\(name)_count"] : [name, sampleName]
    }
}
