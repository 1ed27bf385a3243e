/// The figures of a run.
extension LoadGenerator {
    mutating func report() -> LoadReport {
        if plan.mode != .idle, tally.operations == 0, faults.isEmpty {
            faults.add(.lost, "nothing was done within the time")
        }
        var report = LoadReport(faults: faults, timeline: tally.timeline)
        report.add("mode", .text(plan.mode.rawValue))
        report.add("connections", .count(plan.connections))
        switch plan.mode {
        case .echo, .connect, .fanout:
            addRates(to: &report)
            addLatencies(to: &report)
            addServer(to: &report)
        case .idle: addIdle(to: &report)
        }
        for kind in Faults.Kind.allCases { report.add(kind.rawValue, .count(faults[kind])) }
        let own = ServerUsage.own()
        report.add("client_user_s", .decimal(own.user, 2))
        report.add("client_system_s", .decimal(own.system, 2))
        return report
    }

    private var seconds: Double { max(1e-9, Double(tally.end &- tally.begin) / 1e9) }

    private func addRates(to report: inout LoadReport) {
        let rate = Double(tally.operations) / seconds
        if plan.mode == .echo { report.add("depth", .count(plan.depth)) }
        if plan.mode == .fanout {
            report.add("window", .count(plan.window))
            report.add("copies", .count(publications.copies))
        }
        if plan.mode != .connect {
            report.add("size", .count(plan.size))
            report.add("content", .text(plan.content.rawValue))
        }
        report.add("seconds", .decimal(seconds, 3))
        switch plan.mode {
        case .connect:
            report.add("handshakes", .count(tally.operations))
            report.add("handshakes_per_s", .decimal(rate, 0))
        case .fanout:
            report.add("deliveries", .count(tally.operations))
            report.add("deliveries_per_s", .decimal(rate, 0))
        case .echo, .idle:
            report.add("messages", .count(tally.operations))
            report.add("messages_per_s", .decimal(rate, 0))
        }
        if plan.flood > 0 {
            report.add("flood", .count(plan.flood))
            report.add("flood_messages_per_s", .decimal(Double(tally.floodMessages) / seconds, 0))
        }
        if plan.mode != .connect { report.add("mb_per_s", .decimal(Double(tally.octets) / seconds / 1e6, 2)) }
    }

    private func addLatencies(to report: inout LoadReport) {
        for (name, share) in [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999)] {
            let time = tally.latency.quantile(share)
            report.add(name, time.map { .decimal(Double($0) / 1e3, 1) } ?? .missing)
        }
        report.add("max_us", .decimal(Double(tally.latency.maximum) / 1e3, 1))
        if plan.mode != .connect { report.add("longest_pause_us", .decimal(Double(tally.longestPause) / 1e3, 1)) }
    }

    private func addServer(to report: inout LoadReport) {
        guard !plan.processes.isEmpty else { return }
        let used = Double(tally.after.nanoseconds &- min(tally.after.nanoseconds, tally.before.nanoseconds))
        report.add("server_cpu_s", .decimal(used / 1e9, 3))
        report.add("server_cpu_share", .decimal(used / 1e9 / seconds, 3))
        let served = tally.operations &+ tally.floodMessages
        let each = served > 0 ? used / 1e3 / Double(served) : nil
        report.add("server_us_per_op", each.map { .decimal($0, 3) } ?? .missing)
        report.add("server_rss_kb", .count(tally.after.residentKilobytes))
    }

    private func addIdle(to report: inout LoadReport) {
        report.add("open_seconds", .decimal(openSeconds, 3))
        report.add("held_seconds", .decimal(plan.hold, 1))
        report.add("alive", .count(alive))
        guard !plan.processes.isEmpty else { return }
        report.add("rss_kb_before", .count(emptyUsage.residentKilobytes))
        report.add("rss_kb_after", .count(fullUsage.residentKilobytes))
        let growth = Double(fullUsage.residentKilobytes - emptyUsage.residentKilobytes) * 1024
        report.add("rss_bytes_per_connection", .decimal(growth / Double(max(1, plan.connections - 1)), 0))
    }
}
