/// The `cluster` line: the engine that carries topics to other gateways.
package struct ClusterConfiguration: Sendable, Equatable {
    /// Of one kind of engine, as they are written.
    package var urls: [String]
    /// `name`: what the engine calls this gateway; nil = its host and process.
    package var name: String?
    /// `prefix`: gateways with the same one share topics.
    package var prefix = defaultPrefix
    package var user: String?
    /// `password_file`: an absolute path after loading.
    package var passwordFile: String?
    /// `queue`: bytes of publications that may wait for an engine.
    package var queueBytes = defaultQueue
    /// `probe`: how often the engine is asked for a sign of life.
    package var probeMilliseconds = defaultProbe
    /// Where the line was written.
    package var origin: SourceLocation

    static let defaultPrefix = "gateway"
    static let defaultQueue = 64 << 20
    static let defaultProbe: Int64 = 5000

    /// Bytes of `prefix`, route and topic together that an engine carries, and of a topic alone.
    static let longestName = 1022
    static let longestTopic = 255

    package init(urls: [String], origin: SourceLocation) { (self.urls, self.origin) = (urls, origin) }

    /// Schemes of URLs, by kind of engine.
    static let schemes = ["nats": ["nats", "tls"], "redis": ["redis", "redis+unix"]]
    static let forms =
        "URLs such as nats://127.0.0.1:4222, redis://127.0.0.1:6379/0 or redis+unix:/run/redis.sock, or \"off\""

    /// The kind of engine of a URL; nil of what is none.
    static func kind(of url: String) -> String? {
        guard let colon = url.firstIndex(of: ":") else { return nil }
        let scheme = String(url[..<colon])
        let rest = url[url.index(after: colon)...]
        guard scheme == "redis+unix" ? rest.hasPrefix("/") : rest.hasPrefix("//") && rest.count > 2 else { return nil }
        return schemes.first { $0.value.contains(scheme) }?.key
    }
}

extension Evaluator {
    mutating func evaluateCluster(_ entry: Admitted) {
        let words = entry.statement.arguments
        if let word = words.first, word.text == "off", words.count == 1 {
            if let brace = entry.statement.brace { report.error("\"cluster off\" takes no block", at: brace) }
            return
        }
        if words.isEmpty {
            report.error("\"cluster\" needs \(entry.directive.expected)", at: entry.statement.name.range)
            return
        }
        var kind: String?
        for word in words {
            guard let its = ClusterConfiguration.kind(of: word.text) else {
                return reportValue(word, entry)
            }
            if let kind, kind != its {
                return report.error(
                    "\"cluster\" takes URLs of one kind of engine, and this is none of \(kind)", at: word.range)
            }
            kind = its
        }
        var cluster = ClusterConfiguration(
            urls: words.map(\.text), origin: report.location(of: entry.statement.name.range))
        var scope = Scope()
        for inner in admit(entry.statement.block ?? [], in: .cluster) {
            if case .special(.passwordFile) = inner.directive.setting {
                cluster.passwordFile = onlyValue(inner).flatMap { absolute($0.text, in: $0.range.file) }
            } else {
                apply(inner, to: &scope)
            }
        }
        cluster.name = scope.clusterName
        cluster.prefix = scope.clusterPrefix ?? ClusterConfiguration.defaultPrefix
        cluster.user = scope.clusterUser
        (cluster.queueBytes, cluster.probeMilliseconds) = (scope.clusterQueue, scope.clusterProbe)
        configuration.cluster = cluster
    }

    /// Routes whose topics do not all have a name that an engine carries.
    mutating func checkTopicNames() {
        guard let cluster = configuration.cluster else { return }
        for route in configuration.routes where route.limits.topics == .cluster {
            guard let range = routeRanges[(route.host?.description ?? "") + route.pattern.shape] else { continue }
            let room = ClusterConfiguration.longestName - cluster.prefix.utf8.count - route.name.utf8.count
            if room >= ClusterConfiguration.longestTopic { continue }
            report.warning(
                "topics of this route with names of more than \(max(0, room)) bytes reach members at this gateway alone",
                at: range,
                notes: [
                    "\"prefix\", route and topic have \(ClusterConfiguration.longestName) bytes together. "
                        + "Make the path shorter, or say \"topics local;\" here."
                ])
        }
    }
}
