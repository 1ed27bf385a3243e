import GatewayMetrics
import Synchronization

/// What is counted of limits that peers and handlers come up against.
enum CostMetrics {
    static func families(_ routes: [Route], _ memory: MemoryBudget) -> [MetricFamily] {
        [
            MetricFamily(
                "gateway_slow_consumer_total", .counter,
                help: "What became of peers that read too slowly: connections closed, messages dropped, pauses of"
                    + " reading.",
                samples: routes.flatMap { route in actions(route.costs).map { sample(route, $0.name, $0.count) } }),
            MetricFamily(
                "gateway_write_timeouts_total", .counter,
                help: "Connections that ended because the peer took nothing for write_timeout.",
                samples: routes.map { sample($0, nil, $0.costs.writeTimeouts.load(ordering: .relaxed)) }),
            MetricFamily(
                "gateway_memory_bytes", .gauge, unit: "bytes",
                help: "What the buffers of all connections hold; counted only where max_memory is set.",
                samples: [.init([.init("kind", "buffers")], .count(UInt64(clamping: memory.total)))]),
        ]
    }

    private static func actions(_ costs: CostCounters) -> [(name: String, count: Int)] {
        [
            ("close", costs.closed.load(ordering: .relaxed)), ("drop_new", costs.droppedNew.load(ordering: .relaxed)),
            ("drop_old", costs.droppedOld.load(ordering: .relaxed)),
            ("pause_reads", costs.pausedReads.load(ordering: .relaxed)),
        ]
    }

    private static func sample(_ route: Route, _ action: String?, _ count: Int) -> MetricFamily.Sample {
        let labels = [MetricFamily.Label("route", route.name), .init("handler", route.handler)]
        return .init(labels + (action.map { [.init("action", $0)] } ?? []), .count(UInt64(clamping: count)))
    }
}
