/// The kinds of blocks a directive can stand in.
struct Place: OptionSet, Sendable {
    let rawValue: Int

    /// Outside of every block.
    static let top = Place(rawValue: 1)
    /// `defaults { }`
    static let defaults = Place(rawValue: 2)
    /// `route PATH { }`
    static let route = Place(rawValue: 4)
    /// `plugins FOLDER { }`
    static let plugins = Place(rawValue: 8)
    /// `listen ADDRESS tls { }`
    static let tls = Place(rawValue: 16)
    /// `compression on { }`
    static let compression = Place(rawValue: 32)
    /// `host NAME { }`
    static let host = Place(rawValue: 64)
    /// `listen ADDRESS { }`
    static let listen = Place(rawValue: 128)
    /// `trusted_proxies ADDRESS { }`
    static let proxies = Place(rawValue: 256)
    /// `admin ADDRESS { }`
    static let admin = Place(rawValue: 1024)
    /// `cluster URL { }`
    static let cluster = Place(rawValue: 2048)

    /// How a message speaks of it, as in "not allowed in a route".
    var phrase: String {
        var names: [String] = []
        if contains(.top) { names.append("at the top level") }
        if contains(.defaults) { names.append("in \"defaults\"") }
        if contains(.route) { names.append("in a route") }
        if contains(.plugins) { names.append("in the block of \"plugins\"") }
        if contains(.listen) { names.append("in the block of a \"listen\"") }
        if contains(.proxies) { names.append("in the block of \"trusted_proxies\"") }
        if contains(.tls) { names.append("in the block of a \"listen\" with \"tls\"") }
        if contains(.host) { names.append("in the block of a \"host\"") }
        if contains(.compression) { names.append("in the block of \"compression\"") }
        if contains(.admin) { names.append("in the block of \"admin\"") }
        if contains(.cluster) { names.append("in the block of \"cluster\"") }
        return names.joined(separator: " or ")
    }
}

/// What is set by one block, `defaults` or a route: the place the limits are written to before they become values.
struct Scope: Sendable {
    var limits = Limits()
    var handshake = HandshakeLimits()
    /// Of the whole gateway in `defaults`, of a route in its block.
    var admission = AdmissionLimits()
    /// `max_connections` in `defaults`.
    var maxConnections = Configuration(file: "").maxConnections
    /// `max_connections` in a route.
    var routeConnections: Int?
    /// The block of `plugins`.
    var watches = Configuration(file: "").pluginsWatch
    var settleMilliseconds = Configuration(file: "").settleMilliseconds
    var retain = Configuration(file: "").retain
    /// `handshake_limit` in the block of `tls`.
    var handshakeLimit = TLSConfiguration().handshakeLimit
    /// The block of `listen`.
    var takesProxyHeader = false
    var speaksHTTP2 = false
    var maxStreams = ListenerConfiguration.defaultMaxStreams
    var socketMode: Int?
    var socketGroup: String?
    /// The block of `trusted_proxies`.
    var proxyHeader = ProxyTrust().header
    /// The block of `cluster`.
    var clusterName: String?
    var clusterPrefix: String?
    var clusterUser: String?
    var clusterQueue = ClusterConfiguration.defaultQueue
    var clusterProbe = ClusterConfiguration.defaultProbe
    /// Where the keys of `set` stand.
    var keys: [String: SourceRange] = [:]
    /// Where the directives of this block stand, by name.
    var ranges: [String: SourceRange] = [:]
}

/// One value of a block.
typealias ScopePath<Value> = any WritableKeyPath<Scope, Value> & Sendable

/// What a directive takes and where that goes.
enum Setting: Sendable {
    /// A size.
    case bytes(ScopePath<Int>, ClosedRange<Int64>)
    /// A plain number.
    case count(ScopePath<Int>, ClosedRange<Int64>)
    /// A plain number or `off`.
    case countOrOff(ScopePath<Int?>, ClosedRange<Int64>)
    /// A duration in milliseconds.
    case time(ScopePath<Int64>, ClosedRange<Int64>)
    /// A duration in milliseconds or `off`.
    case timeOrOff(ScopePath<Int64?>, ClosedRange<Int64>)
    /// `on` or `off`.
    case flag(ScopePath<Bool>)
    /// What becomes of connections when their handler is replaced.
    case policy(ScopePath<Limits.ReloadPolicy>)
    /// What happens to a peer that does not read.
    case slowConsumer(ScopePath<Limits.SlowConsumer>)
    /// Which threads callbacks run on.
    case dispatch(ScopePath<Limits.Dispatch>)
    /// Which process a handler runs in.
    case isolation(ScopePath<Isolation.Mode>)
    /// When what a handler knows is saved: a duration in milliseconds, or a word.
    case checkpoint(ScopePath<Isolation.Checkpoint>, ClosedRange<Int64>)
    /// What becomes of the connection that a process ended with.
    case crash(ScopePath<Isolation.Crash>)
    /// A size, a duration, or both, or `off`.
    case recycling(ScopePath<Isolation.Recycling?>)
    /// How far topics reach.
    case topics(ScopePath<Limits.Topics>)
    /// What is written of the log of a handler.
    case logLevel(ScopePath<Configuration.LogLevel?>)
    /// How messages are compressed, with a block of its own.
    case compression
    /// Which pages may connect.
    case origin
    /// Who may use a file, as four octal digits.
    case fileMode(ScopePath<Int?>)
    /// A name of the system.
    case name(ScopePath<String?>)
    /// Which header of a request says where it comes from.
    case forwarding
    /// How often one address may ask for a connection.
    case rate
    /// Which addresses may, or may not, connect.
    case addresses(allows: Bool)
    /// A duration and perhaps a number, or `off`.
    case probation(ScopePath<Limits.Probation?>, ClosedRange<Int64>)
    /// Has a function of its own.
    case special(Special)

    /// The directives that are not numbers.
    enum Special: Sendable {
        case listen, trustedProxies, user, threads, busyPoll, maxMemory, plugins, stateFolder, mode, console, control
        case accessLog, errorLog, defaults, host, route, include
        case handler, set, subprotocols
        case certificate, protocols, ciphers, clientAuthority
        case admin, tokenFile, adminHosts, cluster, passwordFile
    }
}

/// One row of the language: a name, where it may stand, what it takes.
struct Directive: Sendable {
    /// Whether braces follow.
    enum Block: Sendable {
        /// The directive ends in `;`.
        case never
        /// The directive may have a block.
        case optional
        /// The directive is nothing without its block.
        case required
    }

    let name: String
    let places: Place
    let setting: Setting
    let block: Block
    /// True when it may stand in one block more than once.
    let isRepeatable: Bool
    /// What it takes, for messages; empty where the setting says it.
    let form: String

    private init(
        _ name: String, _ places: Place, _ setting: Setting, _ form: String = "", block: Block = .never,
        repeats: Bool = false
    ) {
        self.name = name
        self.places = places
        self.setting = setting
        self.form = form
        self.block = block
        isRepeatable = repeats
    }

    private static let second: Int64 = 1000
    private static let hour: Int64 = 3_600_000
    private static let day: Int64 = 86_400_000
    private static let anywhere: Place = [.defaults, .route]

    /// The language, in the order in which the effective configuration is printed. A new directive is one more row.
    static let table: [Directive] = [
        Directive(
            "include", [.top, .defaults, .host, .route, .plugins, .listen, .tls, .proxies, .admin, .cluster],
            .special(.include),
            "a file or pattern", repeats: true),
        Directive(
            "listen", .top, .special(.listen), "an address: " + ListenAddress.forms, block: .optional, repeats: true),
        Directive("proxy_protocol", [.listen, .tls], .flag(\.takesProxyHeader)),
        Directive("mode", [.listen, .tls], .fileMode(\.socketMode)),
        Directive("group", [.listen, .tls], .name(\.socketGroup), "the name of a group"),
        Directive("certificate", .tls, .special(.certificate), "a file, and that of its key", repeats: true),
        Directive("protocols", .tls, .special(.protocols), "1.2, 1.3 or both"),
        Directive("ciphers", .tls, .special(.ciphers), "a list in quotes, such as \"ECDHE+AESGCM\""),
        Directive("client_ca", .tls, .special(.clientAuthority), "a file, and \"optional\" or \"required\""),
        Directive("http2", [.listen, .tls], .flag(\.speaksHTTP2)),
        Directive("max_streams", [.listen, .tls], .count(\.maxStreams, 1...100_000)),
        Directive("handshake_limit", .tls, .count(\.handshakeLimit, 1...1_000_000)),
        Directive(
            "trusted_proxies", .top, .special(.trustedProxies), "addresses or networks: " + AddressPrefix.forms,
            block: .optional),
        Directive("header", .proxies, .forwarding),
        Directive("user", .top, .special(.user), "the name of a user"),
        Directive("threads", .top, .special(.threads), "\"auto\" or a number from 1 to 256"),
        Directive("busy_poll", .top, .special(.busyPoll), "\"off\" or a duration from 1us to 1s"),
        Directive("max_memory", .top, .special(.maxMemory), "\"off\" or a size from 1m to 1024g"),
        Directive("plugins", .top, .special(.plugins), "a folder", block: .optional),
        Directive("watch", .plugins, .flag(\.watches)),
        Directive("settle", .plugins, .time(\.settleMilliseconds, 1...(5 * second))),
        Directive("retain", .plugins, .count(\.retain, 1...1000)),
        Directive("state_dir", .top, .special(.stateFolder), "a folder"),
        Directive("mode", .top, .special(.mode), "\"production\" or \"development\""),
        Directive("console", .top, .special(.console), "a path such as /, or \"off\""),
        Directive("control", .top, .special(.control), "unix:PATH or \"off\""),
        Directive(
            "admin", .top, .special(.admin), "an address such as 127.0.0.1:9090, or \"off\"", block: .optional),
        Directive("token_file", .admin, .special(.tokenFile), "a file"),
        Directive("hosts", .admin, .special(.adminHosts), "at least one name"),
        Directive("cluster", .top, .special(.cluster), ClusterConfiguration.forms, block: .optional),
        Directive("name", .cluster, .name(\.clusterName), "a name of printable characters"),
        Directive("prefix", .cluster, .name(\.clusterPrefix), "a name of printable characters"),
        Directive("user", .cluster, .name(\.clusterUser), "a name of printable characters"),
        Directive("password_file", .cluster, .special(.passwordFile), "a file"),
        Directive("queue", .cluster, .bytes(\.clusterQueue, (64 << 10)...(4 << 30))),
        Directive("probe", .cluster, .time(\.clusterProbe, 100...(5 * 60 * second))),
        Directive("access_log", .top, .special(.accessLog), "stderr or a file, and text or json; or \"off\""),
        Directive(
            "error_log", .top, .special(.errorLog), "stderr or a file, a level, and text or json; or \"off\""),
        Directive("defaults", .top, .special(.defaults), "no value, only a block", block: .required),

        Directive("max_message", anywhere, .bytes(\.limits.maxMessageBytes, 1...(1 << 30))),
        Directive("max_frame", anywhere, .bytes(\.limits.maxFrameBytes, 1...(1 << 30))),
        Directive("max_connections", .defaults, .count(\.maxConnections, 1...10_000_000)),
        Directive("max_connections", .route, .countOrOff(\.routeConnections, 1...10_000_000)),
        Directive("max_connections_per_ip", .defaults, .countOrOff(\.admission.connectionsPerAddress, 1...10_000_000)),
        Directive("max_connections_per_ip", .route, .countOrOff(\.admission.connectionsPerAddress, 1...10_000_000)),
        Directive("handshake_rate", .defaults, .rate),
        Directive("handshake_rate", .route, .rate),
        Directive("handshake_timeout", .defaults, .time(\.handshake.timeoutMilliseconds, 1...hour)),
        Directive("reply_timeout", anywhere, .time(\.limits.replyTimeoutMilliseconds, 1...hour)),
        Directive("max_head", .defaults, .bytes(\.handshake.maxHeadBytes, 256...(1 << 20))),
        Directive("max_headers", .defaults, .count(\.handshake.maxHeaders, 1...10_000)),
        Directive("max_body", anywhere, .bytes(\.limits.maxBodyBytes, 0...(1 << 30))),
        Directive("ping_interval", anywhere, .timeOrOff(\.limits.pingIntervalMilliseconds, 1...day)),
        Directive("pong_timeout", anywhere, .timeOrOff(\.limits.pongTimeoutMilliseconds, 1...day)),
        Directive("idle_timeout", anywhere, .timeOrOff(\.limits.idleTimeoutMilliseconds, 1...(365 * day))),
        Directive("close_timeout", anywhere, .time(\.limits.closeTimeoutMilliseconds, 1...hour)),
        Directive("write_timeout", anywhere, .timeOrOff(\.limits.writeTimeoutMilliseconds, 1...day)),
        Directive("send_buffer", anywhere, .bytes(\.limits.sendBufferBytes, 1024...(1 << 30))),
        Directive("slow_consumer", anywhere, .slowConsumer(\.limits.slowConsumer)),
        Directive("start_timeout", anywhere, .time(\.limits.startTimeoutMilliseconds, 1...hour)),
        Directive("origin", anywhere, .origin),
        Directive("allow", anywhere, .addresses(allows: true), repeats: true),
        Directive("deny", anywhere, .addresses(allows: false), repeats: true),
        Directive("compression", anywhere, .compression, block: .optional),
        Directive("level", .compression, .count(\.limits.compression.level, 0...9)),
        Directive("threshold", .compression, .bytes(\.limits.compression.thresholdBytes, 1...(1 << 30))),
        Directive("window", .compression, .count(\.limits.compression.windowBits, 9...15)),
        Directive("memory", .compression, .bytes(\.limits.compression.memoryBytes, 0...(1 << 40))),
        Directive("dispatch", anywhere, .dispatch(\.limits.dispatch)),
        Directive("isolation", anywhere, .isolation(\.limits.isolation.mode)),
        Directive("checkpoint", anywhere, .checkpoint(\.limits.isolation.checkpoint, 10...hour)),
        Directive("crash", anywhere, .crash(\.limits.isolation.crash)),
        Directive("recycle", anywhere, .recycling(\.limits.isolation.recycling)),
        Directive("topics", anywhere, .topics(\.limits.topics)),
        Directive("log_level", anywhere, .logLevel(\.limits.logLevel)),
        Directive("callback_stall", anywhere, .timeOrOff(\.limits.callbackStallMilliseconds, 1...hour)),
        Directive("reload", anywhere, .policy(\.limits.reload)),
        Directive("drain_timeout", anywhere, .time(\.limits.drainTimeoutMilliseconds, 1...day)),
        Directive("probation", anywhere, .probation(\.limits.probation, 1...day)),

        Directive("route", [.top, .host], .special(.route), "a path such as /echo", block: .required, repeats: true),
        Directive("handler", .route, .special(.handler), "the name of a handler"),
        Directive("subprotocols", .route, .special(.subprotocols), "at least one name"),
        Directive("set", .route, .special(.set), "a key and a value", repeats: true),
        Directive(
            "host", .top, .special(.host), "a name such as api.example.com or *.example.com", block: .required,
            repeats: true),
    ]

    /// The rows of each name; most have one, some mean different things in different blocks.
    static let rows = Dictionary(grouping: table, by: \.name)
}

extension Directive {
    /// What it takes, as a message says it.
    var expected: String {
        switch setting {
        case .bytes: "a size such as 512, 64k or 1m"
        case .count: "a number"
        case .countOrOff: "a number or \"off\""
        case .time: "a duration such as 200ms, 30s or 5m"
        case .timeOrOff: "a duration such as 200ms, 30s or 5m, or \"off\""
        case .flag: "\"on\" or \"off\""
        case .policy: "one of " + Limits.ReloadPolicy.allCases.map(\.rawValue).joined(separator: ", ")
        case .slowConsumer: "one of " + Limits.SlowConsumer.allCases.map(\.rawValue).joined(separator: ", ")
        case .topics: Limits.Topics.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
        case .isolation: Isolation.Mode.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
        case .checkpoint: "\"off\", \"message\", or a duration such as 200ms or 1s"
        case .crash: Isolation.Crash.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
        case .recycling: "\"off\", or a size, a duration, or both, such as 512m 24h"
        case .dispatch: Limits.Dispatch.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
        case .origin: "any, same-host or origins such as https://example.com, and perhaps required"
        case .fileMode: "octal digits such as 0660"
        case .name: form
        case .forwarding: ProxyTrust.Header.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
        case .rate: "\"off\", or a rate such as 20/s and perhaps \"burst\" and a number"
        case .addresses: "addresses or networks: " + AddressPrefix.forms
        case .logLevel: "one of " + Configuration.LogLevel.allCases.map(\.name).joined(separator: ", ")
        case .compression: "one of " + Limits.Compression.Mode.allCases.map(\.rawValue).joined(separator: ", ")
        case .probation: "\"off\", or a duration and perhaps a number of errors"
        case .special: form
        }
    }

    /// The value a block gives it, as it is written in a file; nil for directives that are not plain values.
    func text(in scope: Scope) -> String? {
        switch setting {
        case .bytes(let path, _): Unit.text(bytes: Int64(clamping: scope[keyPath: path]))
        case .count(let path, _): String(scope[keyPath: path])
        case .countOrOff(let path, _): scope[keyPath: path].map { String($0) } ?? "off"
        case .time(let path, _): Unit.text(milliseconds: scope[keyPath: path])
        case .timeOrOff(let path, _): scope[keyPath: path].map { Unit.text(milliseconds: $0) } ?? "off"
        case .flag(let path): scope[keyPath: path] ? "on" : "off"
        case .policy(let path): scope[keyPath: path].rawValue
        case .slowConsumer(let path): scope[keyPath: path].rawValue
        case .dispatch(let path): scope[keyPath: path].rawValue
        case .isolation(let path): scope[keyPath: path].rawValue
        case .checkpoint(let path, _): scope[keyPath: path].text
        case .crash(let path): scope[keyPath: path].rawValue
        case .recycling(let path): scope[keyPath: path]?.text ?? "off"
        case .topics(let path): scope[keyPath: path].rawValue
        case .logLevel(let path): scope[keyPath: path].map(\.name)
        case .compression: compression(scope)
        case .fileMode(let path): scope[keyPath: path].map { "0" + String($0, radix: 8) }
        case .name(let path): scope[keyPath: path].map { Quotation.ifNeeded($0) }
        case .forwarding: scope.proxyHeader.rawValue
        case .rate: scope.admission.handshakeRate?.description ?? "off"
        case .origin: scope.limits.origin.description
        case .probation(let path, _):
            scope[keyPath: path].map { "\(Unit.text(milliseconds: $0.milliseconds)) \($0.errors)" } ?? "off"
        case .addresses, .special: nil
        }
    }

    /// The values of the lines that a block has of it; one for most directives.
    func texts(in scope: Scope) -> [(name: String, value: String)] {
        // Which comes first matters, so both are where `allow` is.
        if case .addresses(let allows) = setting {
            return allows ? scope.limits.addresses.rules.map { ($0.allows ? "allow" : "deny", "\($0.peers)") } : []
        }
        return text(in: scope).map { [(name, $0)] } ?? []
    }

    private func compression(_ scope: Scope) -> String {
        let mode = scope.limits.compression.mode
        if mode == .off { return mode.rawValue }
        let inner = Directive.table.filter { $0.places.contains(.compression) }.map { row in
            "\(row.name) \(row.text(in: scope) ?? ""); "
        }
        return "\(mode.rawValue) { \(inner.joined())}"
    }
}
