import CGatewayABI
import GatewayConfiguration
import GatewayIO
import HandlerModules
import Synchronization

/// All handlers and routes: brings them into service, replaces them while connections live, takes them out.
/// It belongs to the control thread, which steps it and never waits in it; workers are told by message.
final class HandlerManager {
    /// The cause of the first reload of each handler.
    static let startCause = "the start"
    /// Reloads under way at once: each may have a probe process.
    private static let mostReloads = 8

    let server: ServerContext
    let log: Log
    let loop: ControlLoop
    let loader: ModuleLoader
    let locator: ModuleLocator
    let lastGood: LastGood
    /// The program that tries modules in a process of its own.
    let prober: String
    var configuration: Configuration
    var routing: RoutingTable
    var handlers: [String: HandlerService] = [:]
    let timeline = ReloadTimeline()
    /// Generations that run in processes of their own.
    var isolated: [IsolatedHandler] = []
    let questions = ProcessQuestions()
    /// In the process of a handler: what it loads, without looking for it or trying it.
    let given: GivenModule?
    /// A configuration that is being taken over.
    var change: ConfigurationChange?
    var diskWriter: DiskWriter
    /// Calls whose answer only concerns the log.
    var pendingCalls: [PendingCall] = []
    private let numbers = HandlerNumbers()
    private let crashes: [CrashRecord]
    private var nextInstance: UInt64 = 1
    /// The gateway is about to end: nothing begins any more.
    private(set) var isEnding = false
    /// No connection is left, and every instance is being stopped.
    private(set) var isStoppingAll = false
    /// Processes of handlers may take so long to end.
    private(set) var processesEndBy: UInt64 = 0

    init(
        server: ServerContext, configuration: Configuration, runDirectory: RunDirectory, lastGood: LastGood,
        loop: ControlLoop, prober: String, crashes: [CrashRecord], given: GivenModule? = nil
    ) {
        self.given = given
        self.prober = prober
        self.server = server
        self.configuration = configuration
        self.loop = loop
        self.crashes = crashes
        log = server.log
        routing = server.routing
        diskWriter = DiskWriter(server.log, loop.bell)
        self.lastGood = lastGood
        locator = ModuleLocator(plugins: [configuration.pluginsFolder])
        let numbers = numbers
        loader = unsafe ModuleLoader(
            locator: locator, runDirectory: runDirectory
        ) { generation, handler, note in
            unsafe HostContext.makeHost(
                HostContext(
                    server: server, module: numbers[handler], handler: handler, generation: generation, note: note))
        }
    }

    /// The numbers of handlers, for the threads that load them.
    private final class HandlerNumbers: Sendable {
        private let numbers = Mutex<[String: UInt32]>([:])

        subscript(handler: String) -> UInt32 {
            numbers.withLock { numbers in
                let number = numbers[handler] ?? UInt32(numbers.count + 1)
                numbers[handler] = number
                return number
            }
        }
    }

    /// What calls on other threads do when they have come back.
    var ring: @Sendable () -> Void { { [bell = loop.bell] in bell.ring() } }

    func deadline(milliseconds: Int64) -> UInt64 {
        server.clock() &+ UInt64(clamping: milliseconds) &* 1_000_000
    }

    // MARK: Looking up

    /// The handlers that a configuration names, in its order.
    func handlerNames(of configuration: Configuration) -> [String] {
        var seen: Set<String> = []
        return configuration.routes.map(\.handler).filter { seen.insert($0).inserted }
    }

    /// The service of a handler file; the same one for the life of the process.
    func service(named name: String) -> HandlerService {
        if let known = handlers[name] { return known }
        let service = HandlerService(name: name, number: numbers[name])
        if let given { service.module.goOn(after: given.generation - 1) }
        if given == nil { service.standing = lastGood.standing(of: name) }
        for crash in crashes where crash.handler == name && crash.time > service.standing.pardonedUntil ?? "" {
            service.crashes[crash.digest] = crash
        }
        handlers[name] = service
        return service
    }

    /// The routes of a handler.
    func places(of handler: String) -> [Reload.Place] {
        zip(configuration.routes, routing.routes).filter { $0.0.handler == handler }.map {
            Reload.Place(route: $0.1, configuration: $0.0)
        }
    }

    /// Whether anything can be served.
    var servesSomething: Bool { handlers.values.contains { $0.serving != nil } }

    // MARK: Reloads

    /// Begins to load and start everything. One handler that cannot be does not keep the others from serving.
    func startAll() {
        for name in handlerNames(of: configuration) {
            _ = reload(service(named: name), cause: Self.startCause)
        }
    }

    /// Asks for a reload with what lies in the handler's file; the one that waits already, if there is one.
    func reload(
        _ service: HandlerService, cause: String, isExplicit: Bool = false, isAutomatic: Bool = false
    ) -> Reload {
        request(service, .file, cause: cause, isExplicit: isExplicit, isAutomatic: isAutomatic)
    }

    /// The same where its own process is to have another configuration.
    func restart(_ service: HandlerService, cause: String) {
        reload(service, cause: cause).isForced = true
    }

    /// Asks for a reload with the newest of the builds before.
    func rollback(_ service: HandlerService, cause: String) -> Reload {
        request(service, .rollback, cause: cause, isExplicit: true)
    }

    private func request(
        _ service: HandlerService, _ kind: Reload.Kind, cause: String, isExplicit: Bool, isAutomatic: Bool = false
    ) -> Reload {
        if let waiting = service.reloads.last, waiting.state == .idle, waiting.outcome == nil, waiting.kind == kind,
            !waiting.isUnderWay
        {
            waiting.join(isExplicit: isExplicit, isAutomatic: isAutomatic)
            return waiting
        }
        let reload = Reload(
            service, self, kind, cause: cause, isExplicit: isExplicit, isAutomatic: isAutomatic)
        service.reloads.append(reload)
        return reload
    }

    // MARK: Stepping

    /// Does everything that can be done now, without waiting.
    func step() {
        let now = server.clock()
        stepIsolated(now)
        change?.step(now)
        var running = handlers.values.count { $0.reloads.first?.isUnderWay ?? false }
        for service in handlers.values {
            service.latest?.step(now)
            while let reload = service.reloads.first {
                if !reload.isUnderWay {
                    guard !isEnding, running < Self.mostReloads, !isReserved(service) else { break }
                    running += 1
                    reload.begin()
                }
                reload.step(now)
                guard reload.outcome != nil else { break }
                running -= 1
                service.reloads.removeFirst()
                service.latest = reload
            }
        }
        tidy(now)
    }

    /// A configuration that is being taken over is about routes of this handler.
    private func isReserved(_ service: HandlerService) -> Bool {
        change.map { !$0.isOver && $0.concerns(service.name) } ?? false
    }

    /// Whether a reload is under way or wanted.
    var isBusy: Bool { handlers.values.contains { !$0.reloads.isEmpty } }

    /// When `step` is due even if nothing rings.
    func nextStep(_ now: UInt64) -> UInt64? {
        let reloads = handlers.values.compactMap { $0.reloads.first?.nextStep }
        let pendingCalls = pendingCalls.map(\.deadline)
        let tidying = isSettled ? nil : now &+ 50_000_000
        return
            (reloads + pendingCalls + isolated.compactMap(\.nextStep)
            + [tidying, change?.nextStep, nextProbation, isStoppingAll && !haveProcessesEnded ? processesEndBy : nil]
            .compactMap { $0 }).min()
    }

    // MARK: Instances

    /// What host functions know of a new instance.
    func makeInstanceContext(
        _ generation: Generation, _ service: HandlerService, _ route: Route, isolated: IsolatedPort? = nil
    ) -> InstanceContext {
        let instance = Instance(id: nextInstance, routeIndex: route.index, generation: generation)
        nextInstance += 1
        let instanceContext = InstanceContext(
            instance, module: service.number, scope: route.name, workers: server.ports.count,
            isPooled: route.isPooled, isWatched: server.contractChecker != nil,
            counters: server.counters.begin(
                .init(route: route.name, handler: service.name, generation: generation.number),
                workers: server.ports.count), isolated: isolated)
        server.instances.add(instanceContext)
        return instanceContext
    }

    /// The commit point: from these stores on new handshakes go to the new generation.
    func putInService(_ service: HandlerService, _ serving: ServingGeneration, _ places: [Reload.Place]) {
        service.module.makeLive(serving.generation)
        for place in places {
            let name = place.route.name
            if let served = serving.instances[name] {
                unsafe place.route.serve(served.binding)
                log.info(
                    "route \(name): handler \"\(service.name)\" generation \(serving.generation.number) is serving")
            } else if let refusal = serving.refused.first(where: { $0.route == name }) {
                place.route.fail(refusal.error.reason)
                log.error(refusal.error.ofRoute.description)
            }
        }
        serving.since = server.clock()
        service.serving = serving
    }

    // MARK: Going down

    /// Drops whatever is under way: the gateway is about to end.
    func abandonAll(_ why: String) {
        isEnding = true
        change?.abandon(why)
        for service in handlers.values {
            for reload in service.reloads { reload.abandon(why) }
        }
    }

    /// Begins to stop every instance, when no connection is left; `hasEnded` tells when all have.
    func end() {
        abandonAll("the gateway ends")
        isStoppingAll = true
        for service in handlers.values {
            if let serving = service.serving {
                serving.fence = Fence(passers: 0, bell: loop.bell)
                service.retiring.append(serving)
            }
            service.serving = nil
            for serving in service.retiring { serving.fence = Fence(passers: 0, bell: loop.bell) }
        }
        for each in isolated { each.stop() }
        processesEndBy = deadline(milliseconds: configuration.routes.map(\.limits.startTimeoutMilliseconds).max() ?? 0)
        server.jobs.finish()
        server.dispatchPool.finish()
    }

    /// Every instance has been stopped, or was left alone, and what is to be kept is kept.
    var hasEnded: Bool {
        isStoppingAll && handlers.values.allSatisfy { $0.retiring.isEmpty } && diskWriter.isIdle && haveProcessesEnded
    }
}

extension RouteSettings {
    init(_ route: RouteConfiguration, isProbe: Bool = false) {
        self.init(
            route: route.name, origin: route.origin.description,
            settings: route.settings.map { Setting(key: $0.key, value: $0.value) }, isProbe: isProbe)
    }
}
