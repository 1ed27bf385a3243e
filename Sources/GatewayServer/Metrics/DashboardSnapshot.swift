import GatewayControl
import GatewayMetrics

/// What an open dashboard is told each second: the status, what is counted, and what is new in the timeline. The page
/// makes rates of it, so that the gateway remembers nothing for it.
enum DashboardSnapshot {
    /// What the page shows of all that is counted.
    private static let shown: Set<String> = [
        "gateway_connections", "gateway_connections_opened", "gateway_connections_closed",
        "gateway_handshakes_rejected", "gateway_messages_received", "gateway_messages_sent",
        "gateway_received_bytes", "gateway_sent_bytes", "gateway_send_queue_bytes", "gateway_callback_duration_seconds",
        "gateway_state_migrations", "gateway_worker_peers", "gateway_worker_unresponsive_seconds",
        "process_cpu_seconds", "process_open_fds", "process_max_fds", "process_resident_memory_bytes",
        "process_threads",
    ]

    /// One line of JSON.
    static func text(_ server: Server, timeline: [TimelineEntry]) -> String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.name("status")
            writer.value(json: server.statusReport().json())
            writer.member("unready", server.unreadiness())
            writer.name("timeline")
            writer.array(timeline) { $1.write(to: &$0) }
            writer.name("metrics")
            writer.object { writer in
                for family in server.metrics() where shown.contains(family.name) {
                    writer.name(family.name)
                    writer.array(family.samples) { write($1, to: &$0) }
                }
            }
        }
        return writer.text
    }

    /// Its labels, and `value`; or of a histogram `count`, `sum`, and how many lie in each bucket.
    private static func write(_ sample: MetricFamily.Sample, to writer: inout JSONWriter) {
        writer.object { writer in
            for label in sample.labels { writer.member(label.name, label.value) }
            switch sample.value {
            case .count(let count): writer.member("value", count)
            case .number(let number):
                writer.name("value")
                writer.value(number)
            case .histogram(let reading):
                writer.member("count", reading.count)
                writer.name("sum")
                writer.value(reading.sum)
                writer.name("bounds")
                writer.array(reading.bounds) { $0.value($1) }
                writer.name("counts")
                writer.array(reading.counts) { $0.value($1) }
            }
        }
    }
}
