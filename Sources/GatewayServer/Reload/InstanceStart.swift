import GatewayConfiguration
import GatewayIO
import HandlerModules

/// An instance on its way into service at a route: `start` runs on a thread of its own, at most for `start_timeout`.
/// It belongs to the control thread.
final class InstanceStart {
    let configuration: RouteConfiguration
    let instanceContext: InstanceContext
    private let route: Route
    private let handlerManager: HandlerManager
    private let settings: RouteSettings
    private let deadline: UInt64

    /// Begins `start`.
    init(
        _ generation: Generation, _ service: HandlerService, _ configuration: RouteConfiguration, _ route: Route,
        _ handlerManager: HandlerManager
    ) throws(ModuleError) {
        self.configuration = configuration
        self.route = route
        self.handlerManager = handlerManager
        settings = RouteSettings(configuration)
        deadline = handlerManager.deadline(milliseconds: configuration.limits.startTimeoutMilliseconds)
        instanceContext = handlerManager.makeInstanceContext(generation, service, route)
        do throws(ModuleError) {
            try instanceContext.instance.beginStart(settings, logLevel: route.logLevel, bell: handlerManager.ring)
        } catch {
            handlerManager.close(instanceContext)
            throw error
        }
    }

    /// When it is to be stepped even if the bell does not ring.
    var nextStep: UInt64 { deadline }

    /// What serves the route, once it has started; nil while it is busy with that.
    func step(_ now: UInt64) throws(ModuleError) -> RouteInstance? {
        do throws(ModuleError) {
            if try !instanceContext.instance.startOutcome(settings) {
                guard now >= deadline else { return nil }
                let timeout = Duration.milliseconds(configuration.limits.startTimeoutMilliseconds)
                if let error = instanceContext.instance.giveUpStart(settings, after: timeout) { throw error }
                guard try instanceContext.instance.startOutcome(settings) else { return nil }
            }
        } catch {
            handlerManager.close(instanceContext)
            throw error
        }
        handlerManager.open(instanceContext)
        return unsafe RouteInstance(
            instanceContext.instance, Binding.make(instanceContext, route: route), configuration)
    }

    /// The instance is not needed any more: it is stopped as soon as it has started.
    func abandon() {
        _ = instanceContext.instance.giveUpStart(settings, after: .zero)
        handlerManager.stop(instanceContext, handlerManager.log)
    }
}
