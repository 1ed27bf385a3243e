import CLinux
package import GatewayConfiguration
import GatewayIO
import Glibc
import HTTP
import HandlerModules
import WebSocket
import Synchronization

/// The gateway as a whole: what the configuration asks for, brought up, run and taken down by the control thread.
///
///     configuration ─▶ listeners ─▶ handlers ─▶ workers ─▶ signals … ─▶ 1001 to everybody ─▶ workers end ─▶ stop
package final class Server {
    /// Why the gateway could not come up.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
        /// What the process says to whoever started it.
        package let isConfiguration: Bool
    }

    /// Descriptors that are ours, not connections': listeners, pollers, wakers, logs, modules being read.
    private static let ownDescriptors = 64

    private let configuration: Configuration
    private let log: Log
    private let listeners: Listeners
    private let context: ServerContext
    private let handlers: HandlerService
    private let runDirectory: RunDirectory
    private let capacity: Int

    /// Listens, loads and starts; nothing is served yet.
    package init(_ configuration: Configuration) throws(Failure) {
        self.configuration = configuration
        log = Log(threshold: configuration.errorLog.map { Log.Level($0) })
        let limit = Self.raiseDescriptorLimit()
        capacity = min(ConnectionID.maximumSlots, max(16, limit))
        let most = Self.connectionLimit(configuration, descriptors: limit, log)
        listeners = Listeners(try Self.listen(configuration))
        do throws(Errno) {
            context = try Self.makeContext(configuration, log, capacity: capacity, maxConnections: most)
        } catch {
            throw Failure(description: "cannot set up the workers: \(error)", isConfiguration: false)
        }
        do throws(RunDirectoryError) {
            runDirectory = try RunDirectory()
        } catch {
            throw Failure(
                description: "no folder for the copies of modules: \(error)", isConfiguration: false)
        }
        handlers = HandlerService(server: context, configuration: configuration, runDirectory: runDirectory)
        handlers.startAll()
        if !handlers.servesSomething, !configuration.routes.isEmpty {
            runDirectory.remove()
            throw Failure(description: "no route can be served", isConfiguration: true)
        }
    }

    // MARK: Coming up

    /// The soft limit of descriptors goes up to the hard one: each connection needs a descriptor.
    private static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: min(limit.rlim_cur, 1 << 24))
    }

    private static func connectionLimit(_ configuration: Configuration, descriptors: Int, _ log: Log) -> Int {
        let possible = max(1, descriptors - ownDescriptors)
        guard configuration.maxConnections > possible else { return configuration.maxConnections }
        log.warn(
            "max_connections is \(configuration.maxConnections), but the limit of descriptors (\(descriptors)) allows"
                + " \(possible); raise it with ulimit -n or LimitNOFILE")
        return configuration.maxConnections
    }

    private static func listen(_ configuration: Configuration) throws(Failure) -> [Listeners.Entry] {
        var entries: [Listeners.Entry] = []
        for listener in configuration.listeners {
            do throws(Errno) {
                entries.append(Listeners.Entry(try Listener(Listener.Address(listener.address))))
            } catch {
                throw Failure(
                    description: "\(listener.origin): cannot listen on \(listener.address): \(error)",
                    isConfiguration: false)
            }
        }
        return entries
    }

    private static func makeContext(
        _ configuration: Configuration, _ log: Log, capacity: Int, maxConnections: Int
    ) throws(Errno) -> ServerContext {
        var ports: [WorkerPort] = []
        for index in 0..<workerCount(configuration) {
            ports.append(try WorkerPort(index: UInt8(index), capacity: capacity))
        }
        let routes = configuration.routes.enumerated().map { index, route in
            Route(
                index: index, pattern: route.pattern.description, handler: route.handler,
                parameterNames: route.pattern.parameterNames, subprotocols: route.subprotocols,
                limits: RouteLimits(route))
        }
        let routing = RoutingTable(
            router: Router(configuration.routes.map(\.pattern)), routes: routes,
            consolePath: configuration.consolePath)
        let limits = HeadLimits(
            maxHead: configuration.handshake.maxHeadOctets, maxHeaders: configuration.handshake.maxHeaders)
        return ServerContext(
            log: log, logsAccess: configuration.accessLog != nil, headLimits: limits,
            handshakeTimeout: TimerWheel.ticks(milliseconds: configuration.handshake.timeoutMilliseconds),
            maxConnections: maxConnections, ports: ports, routing: routing)
    }

    /// `auto` is one worker for each core that this process may run on.
    private static func workerCount(_ configuration: Configuration) -> Int {
        switch configuration.threads {
        case .automatic: max(1, min(ConnectionID.maximumWorkers, Int(clinux_available_cores())))
        case .count(let count): max(1, min(ConnectionID.maximumWorkers, count))
        }
    }

    // MARK: Serving

    /// The ports it listens on, in the order of the configuration; 0 for unix sockets.
    package var listeningPorts: [UInt16] { listeners.entries.map { $0.listener.address.port } }

    /// Ends `run` from any thread.
    package struct Stopper: Sendable {
        fileprivate let ports: [WorkerPort]

        /// Does what SIGTERM does: says 1001 to everybody; `run` returns when they are gone.
        package func stop() {
            for port in ports { port.post(.stop) }
        }
    }

    package var stopper: Stopper { Stopper(ports: context.ports) }

    /// Serves until a signal says otherwise; returns when the last connection is gone.
    package func run() throws(Failure) {
        let signals = FileDescriptor(adopting: clinux_signal_descriptor())
        do throws(Errno) {
            guard signals.number >= 0 else { throw Errno.last }
            let poller = try Poller()
            try poller.add(signals.number, token: 0, interest: .readable)
            let crew = try startWorkers()
            for entry in listeners.entries { log.info("listening on \(entry.listener.address)") }
            log.info("serving with \(context.ports.count) workers")
            try watchSignals(signals, poller, crew)
        } catch {
            throw Failure(description: "cannot serve: \(error)", isConfiguration: false)
        }
        handlers.stopAll()
        runDirectory.remove()
        log.info("stopped")
    }

    /// The workers' threads, and a way to learn that they have ended.
    private final class Crew: Sendable {
        let working: Atomic<Int>
        let ended: Waker

        init(_ count: Int) throws(Errno) {
            working = Atomic(count)
            ended = try Waker()
        }
    }

    private func startWorkers() throws(Errno) -> Crew {
        let crew = try Crew(context.ports.count)
        let (context, listeners, capacity) = (context, listeners, capacity)
        for port in context.ports {
            let thread = try SystemThread(name: "worker \(port.index)") {
                do throws(Errno) {
                    try Worker(port: port, server: context, listeners: listeners, capacity: capacity).run()
                } catch {
                    context.log.error("worker \(port.index) cannot work: \(error)")
                    // So that the others give it no peers.
                    port.load.add(1 << 32, ordering: .relaxed)
                }
                crew.working.subtract(1, ordering: .releasing)
                crew.ended.ring()
            }
            thread.detach()
        }
        return crew
    }

    /// The control thread's loop: signals, until the workers have ended.
    private func watchSignals(
        _ signals: borrowing FileDescriptor, _ poller: borrowing Poller, _ crew: Crew
    ) throws(Errno) {
        try poller.add(crew.ended.number, token: 1, interest: .readable)
        var isStopping = false
        while crew.working.load(ordering: .acquiring) > 0 {
            _ = try poller.wait(milliseconds: nil)
            crew.ended.answer()
            while case let number = clinux_next_signal(signals.number), number != 0 {
                isStopping = act(on: number, isStopping: isStopping)
            }
        }
    }

    private func act(on signal: Int32, isStopping: Bool) -> Bool {
        switch signal {
        case SIGTERM, SIGINT:
            if isStopping {
                runDirectory.remove()
                log.warn("stopped at once: asked twice")
                _exit(128 + signal)
            }
            log.info("stopping: \(context.connections.load(ordering: .relaxed)) connections are told (1001)")
            stopper.stop()
            return true
        case SIGHUP: log.warn("SIGHUP: reloading is not supported yet; nothing was changed")
        default: log.debug("signal \(signal) means nothing here")
        }
        return isStopping
    }
}

extension Log.Level {
    init(_ level: Configuration.LogLevel) {
        switch level {
        case .trace: self = .trace
        case .debug: self = .debug
        case .info: self = .info
        case .warn: self = .warn
        case .error: self = .error
        }
    }
}

extension Listener.Address {
    init(_ address: ListenAddress) {
        switch address {
        case .any(let port): self = .any(port: port)
        case .ipv4(let octets, let port): self = .ipv4(octets, port: port)
        case .ipv6(let octets, let port): self = .ipv6(octets, port: port)
        case .unix(let path): self = .unix(path: path)
        case .descriptor(let number): self = .inherited(number)
        }
    }
}

extension RouteLimits {
    init(_ route: RouteConfiguration) {
        let limits = route.limits
        func ticks(_ milliseconds: Int64?) -> UInt32 {
            milliseconds.map { TimerWheel.ticks(milliseconds: $0) } ?? 0
        }
        frames = FrameReader.Limits(frame: limits.maxFrameOctets, message: limits.maxMessageOctets)
        body = limits.maxBodyOctets
        connections = route.maxConnections ?? .max
        sendBuffer = limits.sendBufferOctets
        pingInterval = ticks(limits.pingIntervalMilliseconds)
        pongTimeout = ticks(limits.pongTimeoutMilliseconds)
        idleTimeout = ticks(limits.idleTimeoutMilliseconds)
        closeTimeout = ticks(limits.closeTimeoutMilliseconds)
        replyTimeout = ticks(limits.replyTimeoutMilliseconds)
    }
}

extension Server {
    /// Loads and starts every handler and stops it again, without listening or serving.
    ///
    /// - Returns: a text for each handler that cannot serve.
    package static func check(_ configuration: Configuration) -> [String] {
        let log = Log(threshold: nil)
        let context: ServerContext
        do throws(Errno) {
            context = try makeContext(configuration, log, capacity: 16, maxConnections: 1)
        } catch {
            return ["cannot set up the workers: \(error)"]
        }
        do throws(RunDirectoryError) {
            let runDirectory = try RunDirectory()
            let handlers = HandlerService(server: context, configuration: configuration, runDirectory: runDirectory)
            handlers.startAll()
            handlers.stopAll()
            runDirectory.remove()
            return handlers.troubles
        } catch {
            return ["no folder for the copies of modules: \(error)"]
        }
    }
}
