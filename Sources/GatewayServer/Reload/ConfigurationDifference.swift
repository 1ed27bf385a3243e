import GatewayConfiguration

/// What a configuration that is read again changes beside the routes: what takes effect, and what waits for a restart.
struct ConfigurationDifference {
    /// A directive and its value as text.
    private struct Entry: Sendable {
        let name: String
        let value: @Sendable (Configuration) -> String
    }

    private static let immediate: [Entry] = [
        Entry(name: "max_connections") { "\($0.maxConnections)" },
        Entry(name: "trusted_proxies") { configuration in
            let trust = configuration.proxyTrust
            let proxies = trust.proxies.map(\.description).joined(separator: " ")
            return trust.proxies.isEmpty ? "nobody" : "\(proxies), header \(trust.header.rawValue)"
        },
        Entry(name: "max_connections_per_ip") { "\($0.admission.connectionsPerAddress.map { "\($0)" } ?? "off")" },
        Entry(name: "handshake_rate") { $0.admission.handshakeRate?.description ?? "off" },
        Entry(name: "handshake_timeout") { "\($0.handshake.timeoutMilliseconds)ms" },
        Entry(name: "max_head") { "\($0.handshake.maxHeadBytes)" },
        Entry(name: "max_headers") { "\($0.handshake.maxHeaders)" },
        Entry(name: "console") { $0.consolePath ?? "off" },
        Entry(name: "admin") { configuration in
            guard let admin = configuration.admin else { return "off" }
            return ([admin.address.description] + [admin.tokenFile].compactMap { $0 } + admin.hosts)
                .joined(separator: " ")
        },
        Entry(name: "cluster") { configuration in
            guard let line = configuration.cluster else { return "off" }
            let values: [String?] = [
                line.urls.map(URLSecret.shortened).joined(separator: " "), line.name.map { "name \($0)" },
                "prefix \(line.prefix)", line.user.map { "user \($0)" },
                line.passwordFile.map { "password_file \($0)" },
                "queue \(line.queueBytes)", "probe \(line.probeMilliseconds)ms",
            ]
            return values.compactMap { $0 }.joined(separator: ", ")
        },
        Entry(name: "access_log") { $0.accessLog?.text ?? "off" },
        Entry(name: "error_log") { $0.errorLog?.text ?? "off" },
        Entry(name: "busy_poll") { $0.busyPollMicroseconds.map { "\($0)us" } ?? "off" },
        Entry(name: "max_memory") { $0.maxMemoryBytes.map { "\($0)" } ?? "off" },
        Entry(name: "retain") { "\($0.retain)" },
        Entry(name: "drain_timeout of the gateway") { "\($0.limits.drainTimeoutMilliseconds)ms" },
    ]

    private static let atRestart: [Entry] = [
        Entry(name: "user") { $0.user ?? "whoever starts it" },
        Entry(name: "threads") { configuration in
            switch configuration.threads {
            case .automatic: "auto"
            case .count(let count): "\(count)"
            }
        },
        Entry(name: "plugins") { $0.pluginsFolder },
        Entry(name: "state_dir") { $0.stateFolder ?? "not named" },
        Entry(name: "watch") { $0.pluginsWatch ? "on" : "off" },
        Entry(name: "settle") { "\($0.settleMilliseconds)ms" },
        Entry(name: "mode") { $0.mode.rawValue },
        Entry(name: "control") { $0.controlPath ?? "off" },
    ]

    /// A line for each value that takes effect, and one for each that does not.
    let lines: [String]

    /// - Parameters:
    ///   - started: the configuration that the process began with.
    ///   - old: the one that was in effect.
    init(startedWith started: Configuration, from old: Configuration, to next: Configuration) {
        var lines: [String] = []
        for entry in Self.immediate {
            let (before, after) = (entry.value(old), entry.value(next))
            if before != after { lines.append("\(entry.name): \(before) -> \(after)") }
        }
        for entry in Self.atRestart {
            let (before, after) = (entry.value(started), entry.value(next))
            if before != after {
                lines.append("\(entry.name): stays \(before); \(after) takes effect when the gateway is started again")
            }
        }
        self.lines = lines
    }
}
