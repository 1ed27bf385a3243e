/// Everything gateway.conf says, as values: read once, never changed, sent to every thread.
package struct Configuration: Sendable, Equatable {
    /// Production or development.
    package enum Mode: String, Sendable, CaseIterable {
        /// Nothing is shown that was not asked for.
        case production
        /// The console is on unless it is switched off.
        case development
    }

    /// The least important line that is logged.
    package enum LogLevel: String, Sendable, CaseIterable {
        /// Everything, also what is only useful beside the source.
        case trace
        /// What helps to find a fault.
        case debug
        /// What happened.
        case info
        /// What should be looked at.
        case warn
        /// What did not work.
        case error

        /// By its name: `warning` is `warn` as lines of the log have it.
        package init?(named name: String) { self.init(rawValue: name == "warning" ? "warn" : name) }

        /// What a directive takes.
        static let byName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.name, $0) } + [("warn", .warn)])

        /// As lines of the log have it.
        package var name: String { self == .warn ? "warning" : rawValue }
    }

    /// How many workers there are.
    package enum Threads: Sendable, Equatable {
        /// As many as there are cores.
        case automatic
        /// This many, from 1 to 256.
        case count(Int)
    }

    /// The file this was read from, as the operator named it.
    package var file: String
    /// Where to listen, in the order of the file; never empty after loading.
    package var listeners: [ListenerConfiguration] = []
    /// `trusted_proxies`: who is believed when he says for whom he connects.
    package var proxyTrust = ProxyTrust()
    /// `user`: who the gateway becomes once it listens; nil = it stays who it is.
    package var user: String?
    /// How many workers there are.
    package var threads = Threads.automatic
    /// `busy_poll`: how long a worker with nothing to do looks for more before it sleeps; nil = it sleeps at once.
    package var busyPollMicroseconds: Int64?
    /// `max_memory`: bytes that the buffers of all connections may hold; nil = nobody counts them. Above, new peers hear
    /// 503 and the connections that hold most are closed with 1013.
    package var maxMemoryBytes: Int?
    /// The folder handlers are looked for in: an absolute path after loading.
    package var pluginsFolder = "Plugins"
    /// `watch`: whether a change of that folder reloads the handlers it is about.
    package var pluginsWatch = true
    /// `settle`: how long a changed file must be left alone before it is taken.
    package var settleMilliseconds: Int64 = 200
    /// `retain`: how many generations of a handler that have ended are remembered.
    package var retain = 8
    /// `state_dir`: the folder for what the gateway makes of its own accord, an absolute path after loading; nil = it was
    /// not named.
    package var stateFolder: String?
    /// Production or development.
    package var mode = Mode.production
    /// The path of the built-in console; nil = there is none.
    package var consolePath: String?
    /// The path of the control socket: absolute after loading; nil = there is none.
    package var controlPath: String? = Self.standardControlPath
    /// Where `control` was written; nil = nowhere, so that a socket that cannot be made there is no error.
    package var controlOrigin: SourceLocation?
    /// Where metrics and health are asked for; nil = nowhere.
    package var admin: AdminConfiguration?
    /// What carries topics to other gateways; nil = nothing.
    package var cluster: ClusterConfiguration?
    /// What the gateway and its handlers have to say; nil = nothing is logged.
    package var errorLog: ErrorLogConfiguration? = ErrorLogConfiguration()
    /// How requests and connections are logged; nil = not at all.
    package var accessLog: AccessLogConfiguration? = AccessLogConfiguration()
    /// `max_connections` of the whole gateway; above, 503.
    package var maxConnections = 100_000
    /// What one address may have of the whole gateway.
    package var admission = AdmissionLimits()
    /// What a peer may cost before its route is known.
    package var handshake = HandshakeLimits()
    /// What a connection may cost unless its route says otherwise; each route has its own complete copy.
    package var limits = Limits()
    /// Where the directives outside of blocks were written, by name, those that repeat excepted.
    package var origins: [String: SourceLocation] = [:]
    /// Where the directives in the block of `plugins` were written, by name.
    package var pluginsOrigins: [String: SourceLocation] = [:]
    /// Where the directives of `defaults` were written, by name; what is missing has its built-in default.
    package var limitOrigins: [String: SourceLocation] = [:]
    /// The routes, in the order of the file.
    package var routes: [RouteConfiguration] = []

    /// Where the control socket is when the file does not say, seen from the folder of the file.
    static let standardControlPath = ".gateway.sock"

    /// A configuration that says nothing: every value has its default.
    package init(file: String) {
        self.file = file
    }
}

/// One `listen` line.
package struct ListenerConfiguration: Sendable, Equatable {
    /// Where to listen.
    package var address: ListenAddress
    /// Where it was written.
    package var origin: SourceLocation
    /// What follows `tls`; nil where bytes go as they are.
    package var tls: TLSConfiguration?
    /// `mode` of a unix socket; nil = what the umask leaves.
    package var socketMode: Int?
    /// `group` of a unix socket; nil = that of the gateway.
    package var socketGroup: String?
    /// `proxy_protocol`: a PROXY header comes before everything else.
    package var takesProxyHeader = false
    /// `http2`: connections may speak HTTP/2, those of TLS when both ends agree on it, others when they begin with it.
    package var speaksHTTP2 = false
    /// `max_streams`: how many streams of a connection of HTTP/2 may be open at once.
    package var maxStreams = defaultMaxStreams
    static let defaultMaxStreams = 256
    /// Where the directives in its block were written, by name.
    package var origins: [String: SourceLocation] = [:]

    /// Its connections are HTTP/1.1 from their first byte.
    package var isPlain: Bool { tls == nil && !takesProxyHeader && !speaksHTTP2 }

    package init(address: ListenAddress, origin: SourceLocation, tls: TLSConfiguration? = nil) {
        self.address = address
        self.origin = origin
        self.tls = tls
    }
}

/// The block of a `listen` line with `tls`.
package struct TLSConfiguration: Sendable, Equatable {
    /// One `certificate` line.
    package struct Certificate: Sendable, Equatable {
        /// The file of the certificate and of those that vouch for it: an absolute path after loading.
        package var file: String
        /// The file of the key; nil = the same one.
        package var keyFile: String?
        /// Where it was written.
        package var origin: SourceLocation
    }

    /// `client_ca`: who vouches for clients.
    package struct ClientAuthority: Sendable, Equatable {
        /// What a client without a certificate is told.
        package enum Demand: String, Sendable {
            /// It may come in.
            case optional
            case required
        }

        /// Certificates of authorities: an absolute path after loading.
        package var file: String
        package var demand: Demand
        /// Where it was written.
        package var origin: SourceLocation
    }

    /// A version that may be spoken.
    package enum Version: String, Sendable, CaseIterable {
        /// RFC 5246
        case v12 = "1.2"
        /// RFC 8446
        case v13 = "1.3"
    }

    /// In the order of the file; never empty after loading. A client that names no host is shown the first one.
    package var certificates: [Certificate] = []
    /// In the order of `Version`; never empty.
    package var versions = Version.allCases
    /// Cipher suites in the words of OpenSSL; nil = what is good today.
    package var ciphers: String?
    /// Nil = clients are not asked for certificates.
    package var clientAuthority: ClientAuthority?
    /// How many handshakes may be under way at once.
    package var handshakeLimit = 200
}

/// One `route` block.
package struct RouteConfiguration: Sendable, Equatable {
    /// A `set key value` line: reaches the handler's `start`.
    package struct Setting: Sendable, Equatable {
        /// The name; no two of a route are the same.
        package var key: String
        package var value: String

        package init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// The host whose block it stands in; nil = it is for all hosts.
    package var host: HostPattern?
    /// Which paths it serves.
    package var pattern: RoutePattern
    /// The name of the handler, never a path: letters, digits, `_`, `-`, `.`, and no `.` at the front.
    package var handler: String
    /// Where the route was written.
    package var origin: SourceLocation
    /// The `set` lines in the order of the file.
    package var settings: [Setting] = []
    /// What may be spoken, the order being the operator's; the client's first offer that is listed is taken.
    package var subprotocols: [String] = []
    /// `max_connections` of this route; nil = only the gateway's own limit. Above, 503.
    package var maxConnections: Int?
    /// What one address may have of this route; that of the whole gateway counts beside it.
    package var admission = AdmissionLimits()
    /// Complete limits: those of `defaults` where the route says nothing.
    package var limits = Limits()
    /// Where this route's own directives were written, by name; `set` with its key.
    package var limitOrigins: [String: SourceLocation] = [:]

    /// Host and path: no two routes of a configuration have the same. What it is called wherever it is named.
    package var name: String { (host?.description ?? "") + pattern.description }

    /// Makes a route with default limits.
    package init(host: HostPattern? = nil, pattern: RoutePattern, handler: String, origin: SourceLocation) {
        self.host = host
        self.pattern = pattern
        self.handler = handler
        self.origin = origin
    }
}

/// What came out of a file: the configuration, and what is odd about it.
package struct LoadedConfiguration: Sendable, Equatable {
    package var configuration: Configuration
    /// What is likely a mistake, in the order of the text.
    package var warnings: [Diagnostic]
}

extension Configuration {
    /// Reads a file and what it includes. Relative paths in it resolve against the folder of the file they stand in.
    package static func load(file: String) throws(ConfigurationError) -> LoadedConfiguration {
        let bytes: [UInt8]
        do throws(FileReader.Failure) {
            bytes = try FileReader.text(of: file)
        } catch {
            throw ConfigurationError(file: file, cannotRead: error)
        }
        return try evaluate(bytes, file: file, .process)
    }

    /// Reads a text as if it stood in a file of that name, which need not exist.
    package static func parse(
        _ bytes: [UInt8], file: String, environment: Environment = .process
    ) throws(ConfigurationError) -> LoadedConfiguration {
        let checked: [UInt8]
        do throws(FileReader.Failure) {
            checked = try FileReader.checked(bytes)
        } catch {
            throw ConfigurationError(file: file, cannotRead: error)
        }
        return try evaluate(checked, file: file, environment)
    }

    /// Reads a text as if it stood in a file of that name, which need not exist.
    package static func parse(
        _ text: String, file: String, environment: Environment = .process
    ) throws(ConfigurationError) -> LoadedConfiguration {
        try parse(Array(text.utf8), file: file, environment: environment)
    }

    /// The control socket that a file names, read past any error in it, so that a running gateway can be asked even
    /// while its file is being edited. Nil = `control off`.
    package static func controlPath(ofFile file: String) throws(ConfigurationError) -> String? {
        let bytes: [UInt8]
        do throws(FileReader.Failure) {
            bytes = try FileReader.text(of: file)
        } catch {
            throw ConfigurationError(file: file, cannotRead: error)
        }
        var report = Report()
        var inclusion = Inclusion(.process)
        let statements = inclusion.read(bytes, from: file, &report)
        return Evaluator.controlPath(statements, file: file, report: report)
    }

    private static func evaluate(
        _ bytes: [UInt8], file: String, _ environment: Environment
    ) throws(ConfigurationError) -> LoadedConfiguration {
        var report = Report()
        var inclusion = Inclusion(environment)
        let statements = inclusion.read(bytes, from: file, &report)
        // With a brace missing, everything below would be judged in the wrong block; without a value, as another one.
        if report.isStructureDoubtful { throw report.failure }
        return try Evaluator.evaluate(statements, file: file, report: report)
    }
}

extension ConfigurationError {
    fileprivate init(file: String, cannotRead failure: FileReader.Failure) {
        diagnostics = [Diagnostic(.error, file: file, message: "cannot read the configuration: \(failure.sentence)")]
    }
}
