import CGatewayABI
import GatewayConfiguration
import GatewayIO
import HandlerModules
import Synchronization

/// All handlers and routes: brings them into service, replaces them while connections live, takes them out.
/// It belongs to the control thread; workers are told by letter.
final class Services {
    let server: ServerContext
    let log: Log
    let loader: ModuleLoader
    let locator: ModuleLocator
    private let lastGood: LastGood
    let bell: Bell
    /// The program that tries modules in a process of its own.
    private let prober: String
    var configuration: Configuration
    var routing: RoutingTable
    var handlers: [String: HandlerService] = [:]
    /// Where `makeHost` leaves the context of the table it made last.
    let newest: NewestContext
    private var nextInstance: UInt64 = 1
    /// What went wrong at start, in the order of the configuration.
    private(set) var troubles: [String] = []

    /// Passes the context of a new host table from the loader's factory to whoever asked for the load.
    final class NewestContext {
        var context: HostContext?
        var numbers: [String: UInt32] = [:]
    }

    init(
        server: ServerContext, configuration: Configuration, runDirectory: RunDirectory, bell: Bell, prober: String
    ) {
        self.prober = prober
        self.server = server
        self.configuration = configuration
        self.bell = bell
        log = server.log
        routing = server.routing
        let newest = NewestContext()
        self.newest = newest
        lastGood = LastGood(plugins: configuration.pluginsFolder)
        locator = ModuleLocator(plugins: [configuration.pluginsFolder])
        loader = unsafe ModuleLoader(
            locator: locator, runDirectory: runDirectory
        ) { generation, handler, note in
            let context = HostContext(
                server: server, module: newest.numbers[handler] ?? 0, handler: handler, generation: generation,
                note: note)
            newest.context = context
            return unsafe HostContext.makeHost(context)
        }
    }

    // MARK: Coming up

    /// Loads and starts everything. One handler that cannot be does not keep the others from serving.
    func startAll() {
        for name in handlerNames(of: configuration) {
            let service = service(named: name)
            do throws(ModuleError) {
                try bringUp(service)
            } catch {
                complain(service, error)
            }
        }
    }

    /// The handlers that a configuration names, in its order.
    func handlerNames(of configuration: Configuration) -> [String] {
        var seen: Set<String> = []
        return configuration.routes.map(\.handler).filter { seen.insert($0).inserted }
    }

    /// The service of a handler file; the same one for the life of the process.
    func service(named name: String) -> HandlerService {
        if let known = handlers[name] { return known }
        let service = HandlerService(name: name, number: UInt32(handlers.count + 1))
        newest.numbers[name] = service.number
        handlers[name] = service
        return service
    }

    /// The first generation of a handler: each route by itself, so that one refusal does not take the others along.
    private func bringUp(_ service: HandlerService) throws(ModuleError) {
        let serving = try wrap(loadFirst(service))
        let generation = serving.generation
        log.info("handler \"\(service.name)\": generation \(generation.number) loaded from \(generation.source)")
        for (index, configuration) in routes(of: service.name) {
            do throws(ModuleError) {
                serving.posts[configuration.pattern.description] = try post(
                    generation, service, configuration, routing.routes[index])
            } catch {
                routing.routes[index].fail(error.reason)
                troubles.append(error.description)
                log.error(error.description)
            }
        }
        guard !serving.posts.isEmpty else { return }
        putInService(service, serving)
        remember(serving.generation)
    }

    /// What lies in the handler's file; if that is bad, the copy of what served last.
    private func loadFirst(_ service: HandlerService) throws(ModuleError) -> Generation {
        do throws(ModuleError) {
            let candidate = try loader.prepare(service.module)
            try probe(service, candidate)
            return try loader.activate(candidate, of: service.module)
        } catch {
            guard let path = lastGood.recall(service.name) else { throw error }
            guard
                let generation = try? loader.activate(
                    loader.prepare(service.module, from: path), of: service.module)
            else { throw error }
            log.error(error.description)
            log.warn("handler \"\(service.name)\": its file is bad, the copy of what served last is used: \(path)")
            return generation
        }
    }

    /// Lets a throw-away process try the module first.
    func probe(_ service: HandlerService, _ candidate: borrowing Candidate) throws(ModuleError) {
        try probe(service, candidate, routes(of: service.name).map(\.configuration))
    }

    /// The same with the routes that it is going to serve.
    func probe(
        _ service: HandlerService, _ candidate: borrowing Candidate, _ routes: [RouteConfiguration]
    ) throws(ModuleError) {
        let settings = routes.map { RouteSettings($0, isProbe: true) }
        let longest = routes.map(\.limits.startTimeoutMilliseconds).max() ?? 10_000
        let took = try ModuleProbe.judge(
            candidate, routes: settings, timeout: .milliseconds(longest), executable: prober)
        log.debug("handler \"\(service.name)\": probed in \(took)")
    }

    /// Keeps a copy of what serves, for a start at which the file is bad.
    func remember(_ generation: Generation) {
        do throws(LastGood.Failure) {
            try lastGood.remember(generation.path, handler: generation.handler)
        } catch {
            log.debug("handler \"\(generation.handler)\": \(error)")
        }
    }

    private func complain(_ service: HandlerService, _ error: ModuleError) {
        for (index, _) in routes(of: service.name) { routing.routes[index].fail(error.reason) }
        troubles.append(error.description)
        let origin = routes(of: service.name).first.map { "\($0.configuration.origin): " } ?? ""
        log.error(origin + error.description)
    }

    func wrap(_ generation: Generation) -> HandlerService.Serving {
        guard let context = newest.context else { preconditionFailure("a generation was loaded without a host") }
        newest.context = nil
        return HandlerService.Serving(generation, context: context)
    }

    /// The routes of a handler with their place in the table.
    func routes(of handler: String) -> [(index: Int, configuration: RouteConfiguration)] {
        configuration.routes.enumerated().filter { $0.element.handler == handler }.map { ($0.offset, $0.element) }
    }

    /// Starts an instance for a route.
    func post(
        _ generation: Generation, _ service: HandlerService, _ configuration: RouteConfiguration, _ route: Route
    ) throws(ModuleError) -> HandlerService.Post {
        let instance = Instance(id: nextInstance, routeIndex: route.index, generation: generation)
        nextInstance += 1
        let record = InstanceRecord(
            instance, module: service.number, scope: route.pattern, workers: server.ports.count,
            isPooled: route.isPooled, isWatched: server.conduct != nil)
        server.instances.add(record)
        do throws(ModuleError) {
            try instance.start(
                RouteSettings(configuration), timeout: .milliseconds(configuration.limits.startTimeoutMilliseconds))
        } catch {
            close(record)
            throw error
        }
        open(record)
        let binding = unsafe Binding.make(record, route: route)
        return unsafe HandlerService.Post(instance, binding, configuration)
    }

    /// The commit point: from these stores on new handshakes go to the new generation.
    func putInService(_ service: HandlerService, _ serving: HandlerService.Serving) {
        service.module.makeLive(serving.generation)
        for (index, configuration) in routes(of: service.name) {
            guard let post = serving.posts[configuration.pattern.description] else { continue }
            unsafe routing.routes[index].serve(post.binding)
            log.info(
                "route \(configuration.pattern): handler \"\(service.name)\" generation \(serving.generation.number)"
                    + " is serving")
        }
        service.serving = serving
    }

    /// Whether anything can be served.
    var servesSomething: Bool { handlers.values.contains { $0.serving != nil } }

    // MARK: Going down

    /// Stops every instance, when no connection is left.
    func stopAll() {
        for service in handlers.values {
            for serving in service.retiring + [service.serving].compactMap({ $0 }) { stopForGood(serving, service) }
            service.retiring = []
            service.serving = nil
        }
        server.jobs.finish()
        server.lanes.finish()
    }
}

extension RouteSettings {
    init(_ route: RouteConfiguration, isProbe: Bool = false) {
        self.init(
            route: route.pattern.description, origin: route.origin.description,
            settings: route.settings.map { Setting(key: $0.key, value: $0.value) }, isProbe: isProbe)
    }
}
