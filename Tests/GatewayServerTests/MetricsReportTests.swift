import GatewayMetrics
import TestSupport
import Testing

@testable import GatewayServer

@Suite("What the gateway exports")
struct MetricsReportTests {
    private static let names: Set = [
        "gateway_build_info", "gateway_callback_duration_seconds", "gateway_callback_stalls_total",
        "gateway_memory_bytes", "gateway_slow_consumer_total", "gateway_write_timeouts_total",
        "gateway_cluster_connects_total", "gateway_cluster_gaps_total", "gateway_cluster_lag_seconds",
        "gateway_cluster_lost_total", "gateway_cluster_messages_total", "gateway_cluster_queue_bytes",
        "gateway_cluster_rejected_total", "gateway_cluster_topics", "gateway_cluster_up",
        "gateway_compression_bytes_total",
        "gateway_config_last_reload_success", "gateway_connections", "gateway_connections_closed_total",
        "gateway_connections_opened_total", "gateway_handler_errors_total", "gateway_handler_generations",
        "gateway_handshake_duration_seconds", "gateway_handshakes_rejected_total", "gateway_log_dropped_total",
        "gateway_messages_received_total", "gateway_messages_sent_total", "gateway_ping_rtt_seconds", "gateway_ready",
        "gateway_received_bytes_total", "gateway_reload_duration_seconds", "gateway_reloads_total",
        "gateway_worker_process_restarts_total",
        "gateway_send_queue_bytes", "gateway_sent_bytes_total", "gateway_state_migrations_total",
        "gateway_tls_certificate_expiry_seconds", "gateway_tls_handshakes_total", "gateway_worker_loop_lag_seconds",
        "gateway_worker_peers", "gateway_worker_unresponsive_seconds", "process_cpu_seconds_total", "process_max_fds",
        "process_open_fds", "process_resident_memory_bytes", "process_start_time_seconds", "process_threads",
        "process_virtual_memory_bytes", "process_virtual_memory_max_bytes",
    ]

    private func family(_ name: String, _ families: [MetricFamily]) throws -> MetricFamily {
        try #require(families.first { $0.sampleName == name })
    }

    @Test func `every name is there from the beginning, with or without samples`() throws {
        let steps = try StepWorker()
        #expect(Set(steps.server.metrics().map(\.sampleName)) == Self.names)
    }

    @Test func `names end in their unit and say what they are`() throws {
        for family in try StepWorker().server.metrics() {
            if let unit = family.unit { #expect(family.name.hasSuffix("_\(unit)"), "\(family.name)") }
            #expect(!family.help.isEmpty && family.help.hasSuffix("."), "\(family.name): \(family.help)")
            #expect(!family.help.contains("\n"))
        }
    }

    @Test func `no two samples have the same labels`() throws {
        let steps = try StepWorker(rest: "route /other { handler echo; }")
        for _ in 0..<2 { steps.open().sayClose(1000) }
        steps.step()
        for family in steps.server.metrics() {
            let labels = family.samples.map { $0.labels.map { "\($0.name)=\($0.value)" }.joined(separator: ",") }
            #expect(Set(labels).count == labels.count, "\(family.name): \(labels)")
        }
    }

    @Test func `a slow peer's bytes wait`() throws {
        let steps = try StepWorker()
        let peer = steps.open(window: 200)
        peer.say(String(repeating: "x", count: 1000))
        steps.step()
        let waiting = try family("gateway_send_queue_bytes", steps.server.metrics())
        let place = try #require(peer.place)
        #expect(place.pointee.outbox.count > 800)
        #expect(waiting.samples.map(\.value) == [.count(UInt64(place.pointee.outbox.count))])
        #expect(waiting.samples.first?.labels.map(\.name) == ["route", "handler", "generation"])
    }

    @Test func `what is rejected has the word of its answer`() throws {
        let steps = try StepWorker()
        _ = steps.get("/nowhere")
        _ = steps.get("/nowhere")
        let rejected = try family("gateway_handshakes_rejected_total", steps.server.metrics())
        #expect(rejected.samples == [.init([.init("reason", "no-route")], .count(2))])
    }

    @Test func `a gateway that serves everything is ready`() throws {
        let steps = try StepWorker()
        #expect(steps.server.unreadiness() == [])
        #expect(try family("gateway_ready", steps.server.metrics()).samples == [.init(.count(1))])
        steps.server.beginDraining(nil)
        #expect(steps.server.unreadiness() == ["draining: new connections are refused"])
        #expect(try family("gateway_ready", steps.server.metrics()).samples == [.init(.count(0))])
    }

    @Test func `a route without a handler is a reason, in one line`() throws {
        let steps = try StepWorker(rest: "route /none { handler no-such-handler; }")
        let reasons = steps.server.unreadiness()
        #expect(reasons.count == 1)
        let start = "handler-unavailable: route /none, handler \"no-such-handler\": "
        #expect(reasons.first?.hasPrefix(start) == true, "\(reasons)")
        #expect(reasons.allSatisfy { !$0.contains("\n") && $0.count > start.count })
    }
}
