import GatewayIO

/// The figures of a run.
extension LoadReport {
    init(of run: borrowing LoadGenerator) {
        self.init(faults: run.faults, timeline: run.tally.timeline)
        add("mode", .text(run.plan.mode.rawValue))
        add("connections", .count(run.plan.connections))
        addAgreements(of: run)
        switch run.plan.mode {
        case .echo, .connect, .fanout:
            addRates(of: run)
            addLatencies(of: run)
            addServer(of: run)
        case .idle: addIdle(of: run)
        }
        for kind in Faults.Kind.allCases { add(kind.rawValue, .count(run.faults[kind])) }
        let own = ServerUsage.own()
        add("client_user_s", .decimal(own.user, 2))
        add("client_system_s", .decimal(own.system, 2))
    }

    private mutating func addRates(of run: borrowing LoadGenerator) {
        let rate = Double(run.tally.operations) / run.seconds
        if run.plan.mode == .echo { add("depth", .count(run.plan.depth)) }
        if run.plan.mode == .fanout {
            add("window", .count(run.plan.window))
            add("copies", .count(run.publications.copies))
        }
        if run.plan.mode != .connect {
            add("size", .count(run.plan.size))
            add("content", .text(run.plan.content.rawValue))
        }
        add("seconds", .decimal(run.seconds, 3))
        switch run.plan.mode {
        case .connect:
            add("handshakes", .count(run.tally.operations))
            add("handshakes_per_s", .decimal(rate, 0))
        case .fanout:
            add("deliveries", .count(run.tally.operations))
            add("deliveries_per_s", .decimal(rate, 0))
        case .echo, .idle:
            add("messages", .count(run.tally.operations))
            add("messages_per_s", .decimal(rate, 0))
        }
        if run.plan.flood > 0 {
            add("flood", .count(run.plan.flood))
            add("flood_messages_per_s", .decimal(Double(run.tally.floodMessages) / run.seconds, 0))
        }
        if run.plan.mode != .connect { add("mb_per_s", .decimal(Double(run.tally.bytes) / run.seconds / 1e6, 2)) }
    }

    /// What connections have agreed on with the server.
    private mutating func addAgreements(of run: borrowing LoadGenerator) {
        if let security = run.security {
            add("tls", .text("\(security.version) \(security.cipher)"))
            if run.plan.resumes { add("resumed", .count(run.resumed)) }
        }
        guard let deflate = run.compression.agreed else { return }
        add("deflate", .text(deflate.text))
        guard run.plan.mode == .echo || run.plan.mode == .fanout else { return }
        add("sent_bytes", .count(run.compression.sent.plain))
        add("sent_wire_bytes", .count(run.compression.sent.wire))
        add("received_bytes", .count(run.compression.received.plain))
        add("received_wire_bytes", .count(run.compression.received.wire))
    }

    private mutating func addLatencies(of run: borrowing LoadGenerator) {
        for (name, share) in [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999)] {
            let time = run.tally.latency.quantile(share)
            add(name, time.map { .decimal(Double($0) / 1e3, 1) } ?? .missing)
        }
        add("max_us", .decimal(Double(run.tally.latency.maximum) / 1e3, 1))
        if run.plan.mode != .connect { add("longest_pause_us", .decimal(Double(run.tally.longestPause) / 1e3, 1)) }
    }

    private mutating func addServer(of run: borrowing LoadGenerator) {
        guard !run.plan.processes.isEmpty else { return }
        let used = Double(run.tally.after.nanoseconds &- min(run.tally.after.nanoseconds, run.tally.before.nanoseconds))
        add("server_cpu_s", .decimal(used / 1e9, 3))
        add("server_cpu_share", .decimal(used / 1e9 / run.seconds, 3))
        let served = run.tally.operations &+ run.tally.floodMessages
        let each = served > 0 ? used / 1e3 / Double(served) : nil
        add("server_us_per_op", each.map { .decimal($0, 3) } ?? .missing)
        add("server_rss_kb", .count(run.tally.after.residentKilobytes))
    }

    private mutating func addIdle(of run: borrowing LoadGenerator) {
        add("open_seconds", .decimal(run.openSeconds, 3))
        add("held_seconds", .decimal(run.plan.hold, 1))
        add("alive", .count(run.alive))
        guard !run.plan.processes.isEmpty else { return }
        add("rss_kb_before", .count(run.emptyUsage.residentKilobytes))
        add("rss_kb_after", .count(run.fullUsage.residentKilobytes))
        let growth = Double(run.fullUsage.residentKilobytes - run.emptyUsage.residentKilobytes) * 1024
        add("rss_bytes_per_connection", .decimal(growth / Double(max(1, run.plan.connections - 1)), 0))
    }
}

extension LoadGenerator {
    /// How long was measured.
    fileprivate var seconds: Double { max(1e-9, Double(tally.end &- tally.begin) / 1e9) }
}
