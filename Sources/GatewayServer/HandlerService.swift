import CGatewayABI
import GatewayConfiguration
import HandlerModules

/// Brings handlers to their routes: loads each module once, starts an instance for each route, puts it in service.
/// It belongs to the control thread.
final class HandlerService {
    private let server: ServerContext
    private let routes: [RouteConfiguration]
    private let loader: ModuleLoader
    private var modules: [String: Module] = [:]
    private var instances: [Instance] = []
    private var nextInstance: UInt64 = 1
    /// What went wrong, in the order of the configuration; a sentence for each.
    private(set) var troubles: [String] = []

    init(server: ServerContext, configuration: Configuration, runDirectory: RunDirectory) {
        self.server = server
        routes = configuration.routes
        // Modules of one name share connections; the number is what host functions compare.
        var numbers: [String: UInt32] = [:]
        for route in configuration.routes where numbers[route.handler] == nil {
            numbers[route.handler] = UInt32(numbers.count + 1)
        }
        let known = numbers
        loader = unsafe ModuleLoader(
            locator: ModuleLocator(plugins: [configuration.pluginsFolder]), runDirectory: runDirectory
        ) { generation, handler, note in
            unsafe HostContext.makeHost(
                HostContext(
                    server: server, module: known[handler] ?? 0, handler: handler, generation: generation, note: note))
        }
        moduleNumbers = numbers
    }

    private let moduleNumbers: [String: UInt32]

    /// Loads and starts everything. One handler that cannot be does not keep the others from serving.
    func startAll() {
        for handler in handlersInOrder() {
            let module = Module(handler: handler)
            modules[handler] = module
            do throws(ModuleError) {
                let generation = try loader.load(module)
                module.makeLive(generation)
                server.log.info("handler \"\(handler)\": generation \(generation.number) loaded from \(generation.source)")
                startRoutes(of: handler, generation)
            } catch {
                failRoutes(of: handler, error)
            }
        }
    }

    private func handlersInOrder() -> [String] {
        var seen: Set<String> = []
        return routes.map(\.handler).filter { seen.insert($0).inserted }
    }

    private func startRoutes(of handler: String, _ generation: Generation) {
        for (index, route) in routes.enumerated() where route.handler == handler {
            let instance = Instance(id: nextInstance, routeIndex: index, generation: generation)
            nextInstance += 1
            let settings = RouteSettings(
                route: route.pattern.description, origin: route.origin.description,
                settings: route.settings.map { RouteSettings.Setting(key: $0.key, value: $0.value) })
            do throws(ModuleError) {
                try instance.start(settings, timeout: .milliseconds(route.limits.startTimeoutMilliseconds))
                instances.append(instance)
                serve(index, instance)
            } catch {
                trouble(index, error)
            }
        }
    }

    private func serve(_ index: Int, _ instance: Instance) {
        let generation = instance.generation
        let binding = UnsafeMutablePointer<Binding>.allocate(capacity: 1)
        unsafe binding.initialize(
            to: Binding(
                handler: generation.callbacks, flags: generation.flags, instance: instance.selfPointer,
                instanceID: instance.id, host: generation.host, module: moduleNumbers[generation.handler] ?? 0,
                route: index, limits: server.routing.routes[index].limits))
        unsafe server.routing.routes[index].serve(binding)
        server.log.info("route \(server.routing.routes[index].pattern): handler \"\(generation.handler)\" is serving")
    }

    private func failRoutes(of handler: String, _ error: ModuleError) {
        for (index, route) in routes.enumerated() where route.handler == handler {
            server.routing.routes[index].fail(error.reason)
        }
        troubles.append(error.description)
        server.log.error(error.description)
    }

    private func trouble(_ index: Int, _ error: ModuleError) {
        server.routing.routes[index].fail(error.reason)
        troubles.append(error.description)
        server.log.error(error.description)
    }

    /// Whether anything can be served.
    var servesSomething: Bool { !instances.isEmpty }

    /// Stops every instance, when no connection is left.
    func stopAll() {
        for instance in instances {
            do throws(SystemError) {
                if try !instance.stop(timeout: .seconds(10)) {
                    server.log.warn("handler \"\(instance.generation.handler)\": still busy with its stop after 10 s")
                }
            } catch {
                server.log.warn("handler \"\(instance.generation.handler)\": could not be stopped: \(error)")
            }
        }
        instances = []
    }
}
