import GatewayConfiguration
import HandlerModules

/// A module on its way into service in a process of its own: what `RouteStarts` is for one that is loaded here. It belongs to
/// the control thread.
final class IsolatedLoading {
    let isolated: IsolatedHandler
    /// What was prepared; nil once the process has loaded it.
    private var candidate: Candidate?
    private let places: [Reload.Place]
    private let service: HandlerService
    private let handlerManager: HandlerManager
    /// Why the start of a route said no in the probe.
    private let refused: [String: ModuleError]

    /// Starts the process.
    init(
        _ candidate: Candidate, _ service: HandlerService, _ places: [Reload.Place], refused: [String: ModuleError],
        _ configuration: Configuration, _ handlerManager: HandlerManager
    ) throws(ModuleError) {
        (self.candidate, self.service, self.places) = (candidate, service, places)
        (self.refused, self.handlerManager) = (refused, handlerManager)
        do throws(ChildProgram.Failure) {
            isolated = try IsolatedHandler(
                candidate, configuration, relieving: service.serving?.isolated ?? handlerManager.distant(service.name),
                handlerManager)
        } catch {
            throw ModuleError(
                handler: candidate.handler, stage: .loading, reason: error.description,
                place: "File: \(candidate.source)", remedy: "look at the limits of the process")
        }
        handlerManager.isolated.append(isolated)
    }

    /// What the process has loaded, once; nil while it is busy with that, or has been told of.
    func step() throws(ModuleError) -> ServingGeneration? {
        if let why = isolated.failure {
            throw ModuleError(
                handler: service.name, stage: .starting, reason: "its process cannot serve: \(why)",
                place: "Handler: \(service.name)", remedy: "look at what the handler does in its start")
        }
        guard let loaded = isolated.loaded, let candidate else { return nil }
        self.candidate = nil
        let generation = handlerManager.loader.represent(candidate, loaded.module)
        service.module.add(generation)
        let serving = ServingGeneration(generation, context: HostContext.of(generation))
        serving.isolated = isolated
        for place in places { try serve(place, serving, loaded) }
        guard !serving.instances.isEmpty else {
            throw serving.refused.first?.error ?? missing(places.first?.configuration.name ?? "", "no route is served")
        }
        return serving
    }

    private func serve(
        _ place: Reload.Place, _ serving: ServingGeneration, _ loaded: SuccessionMessage.LoadedHandler
    ) throws(ModuleError) {
        let name = place.configuration.name
        guard loaded.routes.contains(name) else {
            let reason = loaded.refused.first { $0.route == name }?.reason ?? "its process does not serve it"
            let error = refused[name] ?? missing(name, reason)
            // A route that is served is not lost to a build that is meant to be better.
            if service.serving?.instances[name] != nil { throw error }
            return serving.refused.append((name, error))
        }
        let instanceContext = handlerManager.makeInstanceContext(
            serving.generation, service, place.route, isolated: isolated.port)
        let binding = unsafe Binding.make(instanceContext, route: place.route)
        unsafe isolated.port.serve(name, by: binding)
        serving.instances[name] = unsafe RouteInstance(instanceContext.instance, binding, place.configuration)
    }

    private func missing(_ route: String, _ reason: String) -> ModuleError {
        ModuleError(
            handler: service.name, stage: .starting, reason: reason, place: "Route: \(route)",
            remedy: "look at what the handler does in its start")
    }

    /// It is not needed any more.
    func abandon() { isolated.stop() }
}
