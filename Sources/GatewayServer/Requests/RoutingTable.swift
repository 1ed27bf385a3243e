import GatewayConfiguration
import GatewayControl
import GatewayIO
import HTTP
import Synchronization
import WebSocket

/// Every route with the instance that serves it now, and what else holds for all peers. Shared by all workers; only the
/// serving instance of a route changes. A new configuration is a new table.
final class RoutingTable: Sendable {
    let router: HostRouter
    let routes: [Route]
    /// Where the built-in console answers; nil for nowhere.
    let console: ConsolePage?

    /// Of `defaults`, for the console, which is no route; nil where all are allowed.
    let addresses: AddressList?

    let headLimits: HeadLimits
    /// Ticks from connecting to a whole request head.
    let handshakeTimeout: UInt32
    /// Ticks that output outside of every route may wait without any of it being taken; 0 for ever.
    let writeTimeout: UInt32
    /// Ticks that a connection of HTTP/2 may be silent before it is asked for a sign of life, and for that to come; 0 for ever.
    let pingInterval: UInt32
    let pongTimeout: UInt32
    /// How many peers may be connected at once, over all workers.
    let maxConnections: Int
    /// Who is believed when he says for whom he asks.
    let proxies: ProxyTrust
    /// There is such a one.
    let hasProxies: Bool
    /// A handler runs in a process of its own.
    let isAnyIsolated: Bool
    /// What one address may have of the gateway; nil for no limit.
    let admission: AdmissionLimits?
    /// `max_memory`; nil = nobody counts.
    let maxMemory: Int?
    let accessLog: AccessLog?
    /// Nanoseconds that a worker with nothing to do looks for more before it sleeps; 0 = it sleeps at once.
    let busyPoll: UInt64

    init(_ configuration: Configuration, routes: [Route], accessLog: AccessLog?) {
        self.accessLog = accessLog
        router = HostRouter(configuration.routes)
        self.routes = routes
        console = configuration.consolePath.map { ConsolePage(path: $0) }
        addresses = configuration.limits.addresses.allowsAll ? nil : configuration.limits.addresses
        headLimits = HeadLimits(
            maxHead: configuration.handshake.maxHeadBytes, maxHeaders: configuration.handshake.maxHeaders)
        handshakeTimeout = TimerWheel.ticks(milliseconds: configuration.handshake.timeoutMilliseconds)
        writeTimeout = configuration.limits.writeTimeoutMilliseconds.map { TimerWheel.ticks(milliseconds: $0) } ?? 0
        pingInterval = configuration.limits.pingIntervalMilliseconds.map { TimerWheel.ticks(milliseconds: $0) } ?? 0
        pongTimeout = configuration.limits.pongTimeoutMilliseconds.map { TimerWheel.ticks(milliseconds: $0) } ?? 0
        maxConnections = configuration.maxConnections
        proxies = configuration.proxyTrust
        hasProxies = !proxies.proxies.isEmpty
        isAnyIsolated = configuration.routes.contains { $0.isIsolated }
        admission = configuration.admission.isOff ? nil : configuration.admission
        maxMemory = configuration.maxMemoryBytes
        busyPoll = UInt64(clamping: configuration.busyPollMicroseconds ?? 0) &* 1000
    }
}

extension RoutingTable {
    /// The routes that requests to a host can come to, in the order of the file.
    func routes(for host: String) -> [Route] {
        let own = routes.filter { $0.host?.covers(host) ?? false }
        return routes.filter { route in
            if let wanted = route.host { return wanted.covers(host) }
            return !own.contains { $0.pattern == route.pattern }
        }
    }
}

/// One route of the configuration.
final class Route: Sendable {
    let index: Int
    /// Of its host and path: what it is called.
    let name: String
    /// Whose requests it is for; nil = all.
    let host: HostPattern?
    /// Of its path.
    let pattern: String
    let handler: String
    let parameterNames: [String]
    /// In the configuration's order; the client's first offer that is listed is chosen.
    let subprotocols: [[UInt8]]
    let limits: RouteLimits
    let origins: OriginPolicy
    /// nil where all are allowed.
    let addresses: AddressList?
    /// What one address may have of the route; nil for no limit.
    let admission: AdmissionLimits?
    /// `dispatch pool`.
    let isPooled: Bool
    /// `callback_stall` in milliseconds; 0 = off.
    let callbackStall: UInt32
    /// `log_level` as `CrashSite` has it.
    let logLevel: UInt32
    /// nil for `compression off`.
    private let compression: RouteCompression?
    /// What that did, worker by worker; empty where it never was on. They go on when the configuration changes.
    private let compressionCounters: [CompressionCounters]
    /// What its peers were cut off for, or not given.
    let costs: CostCounters
    /// Connections that are being decided upon or open.
    let connections = Atomic<Int>(0)
    /// The address of the binding that new peers get; 0 while no instance serves the route.
    private let serving = Atomic<UInt>(0)
    /// Why no instance does.
    private let trouble = Mutex<String?>(nil)

    /// - Parameters:
    ///   - workers: how many there are.
    ///   - former: the route of the same pattern and handler in the configuration before.
    init(_ configuration: RouteConfiguration, index: Int, workers: Int, after former: Route? = nil) {
        costs = former?.costs ?? CostCounters()
        self.index = index
        name = configuration.name
        host = configuration.host
        pattern = configuration.pattern.description
        handler = configuration.handler
        parameterNames = configuration.pattern.parameterNames
        subprotocols = configuration.subprotocols.map { Array($0.utf8) }
        limits = RouteLimits(configuration)
        origins = configuration.limits.origin
        admission = configuration.admission.isOff ? nil : configuration.admission
        addresses = configuration.limits.addresses.allowsAll ? nil : configuration.limits.addresses
        isPooled = configuration.limits.dispatch == .pool
        callbackStall = UInt32(clamping: configuration.limits.callbackStallMilliseconds ?? 0)
        logLevel = configuration.limits.logLevel.map { UInt32(Log.Level($0).rawValue) + 1 } ?? 0
        let compression = RouteCompression(
            configuration.limits.compression, dropsMessages: configuration.limits.slowConsumer == .dropOld)
        self.compression = compression
        let known = former?.compressionCounters ?? []
        let isNew = compression != nil && known.isEmpty
        compressionCounters = isNew ? (0..<workers).map { _ in CompressionCounters() } : known
    }

    /// Answers the extensions that a client offers; nil when none of them can be agreed on.
    func agree(to extensions: [Range<Int>], of head: RequestHead, on port: WorkerPort) -> ConnectionCompression? {
        compression?.agree(to: extensions, of: head, compressionCounters[Int(port.index)])
    }

    /// The same for what another process has agreed on.
    func resume(_ parameters: DeflateParameters, on port: WorkerPort) -> ConnectionCompression {
        let counters = compressionCounters.isEmpty ? CompressionCounters() : compressionCounters[Int(port.index)]
        return (compression ?? .off).resume(parameters, counters)
    }

    /// What compression did for it, over all workers; nil where it never was on.
    var compressionReport: StatusReport.Compression? {
        compressionCounters.isEmpty ? nil : CompressionCounters.report(compressionCounters)
    }

    /// Workers, at each handshake: the instance that serves the route.
    var binding: UnsafeMutablePointer<Binding>? {
        unsafe UnsafeMutablePointer(bitPattern: serving.load(ordering: .acquiring))
    }

    /// Control thread: from this store on new peers get another instance.
    func serve(_ binding: UnsafeMutablePointer<Binding>) {
        trouble.withLock { $0 = nil }
        serving.store(UInt(bitPattern: binding), ordering: .releasing)
    }

    /// Control thread: no instance can serve the route.
    func fail(_ reason: String) { trouble.withLock { $0 = reason } }

    var unavailableReason: String? { trouble.withLock { $0 } }
}

extension RouteCompression {
    /// nil where it is off.
    ///
    /// - Parameter dropsMessages: a message may be given up that was compressed already; none may build on one before it.
    fileprivate convenience init?(_ configuration: Limits.Compression, dropsMessages: Bool) {
        if configuration.mode == .off { return nil }
        self.init(
            keepsContext: configuration.mode == .on && !dropsMessages, level: configuration.level,
            threshold: configuration.thresholdBytes, windowBits: configuration.windowBits,
            memory: configuration.memoryBytes)
    }
}

extension RouteLimits {
    init(_ route: RouteConfiguration) {
        let limits = route.limits
        func ticks(_ milliseconds: Int64?) -> UInt32 {
            milliseconds.map { TimerWheel.ticks(milliseconds: $0) } ?? 0
        }
        frames = FrameReader.Limits(frame: limits.maxFrameBytes, message: limits.maxMessageBytes)
        body = limits.maxBodyBytes
        connections = route.maxConnections ?? .max
        sendBuffer = limits.sendBufferBytes
        slowConsumer = limits.slowConsumer
        pingInterval = ticks(limits.pingIntervalMilliseconds)
        pongTimeout = ticks(limits.pongTimeoutMilliseconds)
        idleTimeout = ticks(limits.idleTimeoutMilliseconds)
        closeTimeout = ticks(limits.closeTimeoutMilliseconds)
        writeTimeout = ticks(limits.writeTimeoutMilliseconds)
        replyTimeout = ticks(limits.replyTimeoutMilliseconds)
        drainTimeout = ticks(limits.drainTimeoutMilliseconds)
        checkpoint =
            switch limits.isolation.checkpoint {
            case .off: .off
            case .message: .message
            case .every(let milliseconds): .every(TimerWheel.ticks(milliseconds: milliseconds))
            }
    }
}
