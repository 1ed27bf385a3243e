import GatewayCluster
import GatewayControl
import GatewayMetrics

/// What is counted of topics over several gateways.
enum ClusterMetrics {
    static func families(_ cluster: Cluster) -> [MetricFamily] {
        let reports = cluster.reports
        let counts = cluster.counts
        func each(_ value: (LinkReport) -> MetricFamily.Value) -> [MetricFamily.Sample] {
            reports.map { .init([.init("engine", $0.url)], value($0)) }
        }
        return [
            MetricFamily(
                "gateway_cluster_up", .gauge, help: "1 while a message goes through the engine and comes back.",
                samples: each { .count($0.isUp ? 1 : 0) }),
            MetricFamily(
                "gateway_cluster_connects_total", .counter, help: "Connections to the engine that came about.",
                samples: each { .count($0.connects) }),
            MetricFamily(
                "gateway_cluster_topics", .gauge, help: "Topics that the engine is asked for.",
                samples: each { .count(UInt64($0.subscriptions)) }),
            MetricFamily(
                "gateway_cluster_queue_bytes", .gauge, unit: "bytes", help: "Publications that wait for the engine.",
                samples: each { .count(UInt64($0.queuedBytes)) }),
            MetricFamily(
                "gateway_cluster_messages_total", .counter,
                help: "Publications handed to engines (sent), and those of other gateways that came (received).",
                samples: [
                    .init([.init("direction", "sent")], .count(counts.sent)),
                    .init([.init("direction", "received")], .count(counts.received)),
                ]),
            MetricFamily(
                "gateway_cluster_lost_total", .counter,
                help: "Publications that did not reach another gateway, at whoever noticed.",
                samples: [.init(.count(counts.lost))]),
            MetricFamily(
                "gateway_cluster_gaps_total", .counter, help: "Times that handlers were told of a gap.",
                samples: [.init(.count(counts.gaps))]),
            MetricFamily(
                "gateway_cluster_rejected_total", .counter,
                help: "What came from an engine and was no publication of a gateway.",
                samples: [.init(.count(counts.rejected))]),
            MetricFamily(
                "gateway_cluster_lag_seconds", .gauge, unit: "seconds",
                help: "How long the publication that came last was on its way, as far as the clocks agree.",
                samples: [.init(.number(Double(counts.lagMicroseconds) / 1e6))]),
        ]
    }

    /// For `gateway status`; nil where there is no `cluster`.
    static func report(_ cluster: Cluster, now: UInt64) -> StatusReport.Cluster? {
        let reports = cluster.reports
        guard let settings = cluster.settings, !reports.isEmpty else { return nil }
        let counts = cluster.counts
        return StatusReport.Cluster(
            name: settings.name, prefix: settings.prefix, sent: counts.sent, received: counts.received,
            lost: counts.lost, gaps: counts.gaps, rejected: counts.rejected, lagMicroseconds: counts.lagMicroseconds,
            engines: reports.map {
                StatusReport.Cluster.Engine(
                    url: $0.url, isUp: $0.isUp, forMilliseconds: (now &- $0.since) / 1_000_000, text: $0.text,
                    topics: $0.subscriptions, queuedBytes: $0.queuedBytes, connects: $0.connects,
                    probeMicroseconds: $0.probeMicroseconds)
            })
    }
}
