import CGatewayABI
import GatewayConfiguration
import GatewayIO
import HandlerModules

/// A configuration on its way into effect: only what changed is touched, and when an instance refuses its new settings
/// nothing changes. A machine like `Reload`, stepped by the control loop.
///
///     waiting ▶ preparing: reconfigure, start, take over ▶ prepared ▶ commit ▶ handing over ▶ over
///                  └─▶ refused: what was prepared is taken back
final class ConfigurationChange {
    private enum Phase {
        /// Reloads of handlers that it concerns are under way.
        case waiting
        case preparing
        case reconfiguring(TimedCall<gw_status>, Replacement, deadline: UInt64)
        case starting(InstanceStart, Purpose)
        case transferring(SelfTransfer, Replacement, RouteInstance)
        case bringingUp
        case prepared
        case handingOver(deadline: UInt64)
        case refused(String)
        case over
    }

    /// What an instance that is being started is for.
    private enum Purpose {
        case route(Route, HandlerService)
        case replacement(Replacement)
    }

    /// A route whose instance is to have other settings.
    private struct Replacement {
        let service: HandlerService
        let former: RouteInstance
        let old: RouteConfiguration
        let route: RouteConfiguration
        let fresh: Route
    }

    let next: Configuration
    private let handlerManager: HandlerManager
    private var phase = Phase.waiting
    private let concerned: Set<String>
    private var position = 0

    private var routes: [Route] = []
    private var handovers: [Handover] = []
    /// Instances that serve from the commit on.
    private var instances: [(service: HandlerService, served: RouteInstance)] = []
    /// Instances that were started for it: stopped again if it comes to nothing.
    private var started: [InstanceContext] = []
    /// Instances that took other settings: told the old ones again if it comes to nothing.
    private var reconfigured: [(served: RouteInstance, old: RouteConfiguration)] = []
    /// Instances that serve no new peer from the commit on.
    private var leaving: [(service: HandlerService, served: RouteInstance)] = []
    /// Handlers that nothing serves yet.
    private var fresh: [Reload] = []
    /// Handlers whose processes are started anew behind the commit.
    private var isolated: Set<String> = []
    private var said: [String] = []
    /// Where workers log from the commit on.
    private let accessLog: AccessLog?

    init(_ next: Configuration, _ handlerManager: HandlerManager, accessLog: AccessLog?) {
        self.accessLog = accessLog
        self.next = next
        self.handlerManager = handlerManager
        concerned = Self.concerned(from: handlerManager.configuration, to: next, handlerManager)
    }

    // MARK: What others ask

    /// Whether routes of a handler come, go, or change.
    func concerns(_ handler: String) -> Bool { concerned.contains(handler) }

    /// Whether it only waits for `commit`.
    var isPrepared: Bool { if case .prepared = phase { true } else { false } }

    /// Why it came to nothing; nil when it did not.
    var refusal: String? { if case .refused(let why) = phase { why } else { nil } }

    var isOver: Bool { if case .over = phase { true } else { refusal != nil } }

    /// What it changed, a line for each thing.
    var changes: [String] { said }

    var nextStep: UInt64? {
        switch phase {
        case .waiting, .preparing, .prepared, .refused, .over: nil
        case .reconfiguring(_, _, let deadline), .handingOver(let deadline): deadline
        case .starting(let start, _): start.nextStep
        case .transferring(let transfer, _, _): transfer.nextStep
        case .bringingUp: fresh.compactMap(\.nextStep).min()
        }
    }

    private static func concerned(
        from old: Configuration, to next: Configuration, _ handlerManager: HandlerManager
    ) -> Set<String> {
        var names: Set<String> = []
        for route in next.routes {
            let known = old.routes.first { $0.name == route.name && $0.handler == route.handler }
            let serving = handlerManager.handlers[route.handler]?.serving
            let lacks = serving != nil && serving?.instances[route.name] == nil
            if !(known?.isSame(as: route) ?? false) || lacks { names.insert(route.handler) }
        }
        for route in old.routes {
            let stays = next.routes.contains { $0.name == route.name && $0.handler == route.handler }
            if !stays { names.insert(route.handler) }
        }
        return names
    }

    // MARK: Stepping

    /// Goes on as far as it can without waiting.
    func step(_ now: UInt64) {
        do throws(ModuleError) {
            while try advance(now) {}
        } catch {
            takeBack()
            phase = .refused("configuration refused, nothing was changed:\n\(error.description)")
        }
    }

    private func advance(_ now: UInt64) throws(ModuleError) -> Bool {
        switch phase {
        case .waiting:
            let isBusy = concerned.contains { handlerManager.handlers[$0]?.reloads.first?.isUnderWay ?? false }
            if isBusy { return false }
            phase = .preparing
        case .preparing: try prepareNext()
        case .reconfiguring(let call, let replacement, let deadline):
            guard call.answer != nil || now >= deadline else { return false }
            try reconfigured(replacement, call.answer ?? gw_status(GW_E_FAILED))
        case .starting(let start, let purpose): return try look(start, purpose, now)
        case .transferring(let transfer, let replacement, let served):
            guard try transfer.step(now) else { return false }
            takeOver(replacement, served)
        case .bringingUp:
            for reload in fresh { reload.step(now) }
            guard fresh.allSatisfy({ $0.isReady || $0.outcome != nil }) else { return false }
            phase = .prepared
        case .handingOver(let deadline):
            let hasPassed = handlerManager.havePassed(handovers)
            guard hasPassed || now >= deadline else { return false }
            if !hasPassed { handlerManager.log.warn("a worker is busy: handing over goes on in the background") }
            phase = .over
        case .prepared, .refused, .over: return false
        }
        return true
    }

    /// The gateway is told to end.
    func abandon(_ why: String) {
        switch phase {
        case .handingOver, .refused, .over: return
        case .starting(let start, _): start.abandon()
        case .waiting, .preparing, .reconfiguring, .transferring, .bringingUp, .prepared: break
        }
        takeBack()
        phase = .refused("configuration refused, nothing was changed: \(why)")
    }

    private func takeBack() {
        for instanceContext in started { handlerManager.stop(instanceContext, handlerManager.log) }
        for (served, old) in reconfigured {
            let settings = RouteSettings(old)
            do throws(ModuleError) {
                guard let call = try served.instance.beginReconfigure(settings, bell: handlerManager.ring) else {
                    continue
                }
                handlerManager.pendingCalls.append(
                    PendingCall(
                        call: call,
                        deadline: handlerManager.deadline(milliseconds: old.limits.startTimeoutMilliseconds),
                        subject: "route \(old.name): its handler was to take its old settings back"))
            } catch {
                handlerManager.log.warn("\(error)")
            }
        }
        for reload in fresh { reload.abandon("the configuration was refused") }
    }

    // MARK: Preparing

    private func prepareNext() throws(ModuleError) {
        guard position < next.routes.count else {
            findLeaving()
            return bringUpFresh()
        }
        let (route, index) = (next.routes[position], position)
        position += 1
        let name = route.name
        let known = handlerManager.configuration.routes.firstIndex {
            $0.name == route.name && $0.handler == route.handler
        }
        let service = handlerManager.service(named: route.handler)
        let workers = handlerManager.server.ports.count
        guard let known else {
            let fresh = Route(route, index: index, workers: workers)
            return isIsolated(service, route) ? addLater(fresh, service) : try add(route, fresh, service)
        }
        let former = handlerManager.routing.routes[known]
        let old = handlerManager.configuration.routes[known]
        guard let served = service.serving?.instances[name] else {
            // A route that its start refused may be mended; the rest is the business of the handler's next reload.
            let isSame = old.isSame(as: route)
            if isSame, service.serving == nil { return routes.append(former) }
            if isIsolated(service, route) {
                return addLater(Route(route, index: index, workers: workers, after: former), service)
            }
            return try add(route, Route(route, index: index, workers: workers, after: former), service)
        }
        if old.isSame(as: route) { return routes.append(former) }
        let fresh = Route(route, index: index, workers: workers, after: former)
        routes.append(fresh)
        said.append("route \(name): reconfigured")
        let replacement = Replacement(service: service, former: served, old: old, route: route, fresh: fresh)
        if isIsolated(service, route) {
            isolated.insert(service.name)
            return swap(replacement)
        }
        // An instance whose callbacks are serial would have loops wait for callbacks that block on the pool.
        let generation = served.instance.generation
        if old.limits.dispatch != route.limits.dispatch, generation.has(GW_HF_SERIAL) { return try renew(replacement) }
        old.settings == route.settings ? swap(replacement) : try reconfigure(replacement)
    }

    /// Its handler runs in a process of its own, or is to: that is started anew when the configuration is in effect, with all
    /// that it says.
    private func isIsolated(_ service: HandlerService, _ route: RouteConfiguration) -> Bool {
        service.serving.map { $0.isolated != nil || route.isIsolated } ?? false
    }

    private func addLater(_ fresh: Route, _ service: HandlerService) {
        routes.append(fresh)
        isolated.insert(service.name)
        said.append("route \(fresh.name): added, handler \"\(service.name)\"")
    }

    /// A route that was not there, or had another handler, or none that could serve.
    private func add(_ route: RouteConfiguration, _ fresh: Route, _ service: HandlerService) throws(ModuleError) {
        routes.append(fresh)
        // With nothing that serves it the handler is brought up for all its routes at once.
        guard let generation = service.serving?.generation else { return }
        do throws(ModuleError) {
            phase = .starting(
                try InstanceStart(generation, service, route, fresh, handlerManager), .route(fresh, service))
        } catch {
            refuse(fresh, error)
        }
    }

    /// A route that cannot be served does not keep the rest of the file from taking effect.
    private func refuse(_ route: Route, _ error: ModuleError) {
        route.fail(error.reason)
        said.append("route \(route.name): not served\n\(error.ofRoute.description)")
    }

    private func look(_ start: InstanceStart, _ purpose: Purpose, _ now: UInt64) throws(ModuleError) -> Bool {
        switch purpose {
        case .route(let route, let service):
            do throws(ModuleError) {
                guard let served = try start.step(now) else { return false }
                started.append(served.instanceContext)
                instances.append((service, served))
                said.append("route \(route.name): added, handler \"\(service.name)\"")
            } catch {
                refuse(route, error)
            }
            phase = .preparing
        case .replacement(let replacement):
            guard let served = try start.step(now) else { return false }
            started.append(served.instanceContext)
            phase = .transferring(
                SelfTransfer(from: replacement.former, to: served, handlerManager), replacement, served)
        }
        return true
    }

    /// The instance stays; its connections get the new limits.
    private func swap(_ replacement: Replacement) {
        var served = replacement.former
        served.configuration = replacement.route
        unsafe served.former.append(replacement.former.binding)
        unsafe served.binding = Binding.make(served.binding.pointee.instanceContext, route: replacement.fresh)
        unsafe served.instanceContext.isolated?.serve(replacement.route.name, by: served.binding)
        unsafe handovers += handlerManager.handovers(
            from: served.former, to: served.binding, .swap, isStateless: true, patience: 0)
        finish(replacement, served)
    }

    private func finish(_ replacement: Replacement, _ served: RouteInstance) {
        let route = replacement.route
        followUp(replacement.service, route.name, served, HandlerManager.patience(route))
        instances.append((replacement.service, served))
        phase = .preparing
    }

    /// The settings of a route changed: the instance takes them, or another one of the same generation takes its place.
    private func reconfigure(_ replacement: Replacement) throws(ModuleError) {
        let settings = RouteSettings(replacement.route)
        guard let call = try replacement.former.instance.beginReconfigure(settings, bell: handlerManager.ring) else {
            return try reconfigured(replacement, gw_status(GW_E_UNSUPPORTED))
        }
        let patience = replacement.route.limits.startTimeoutMilliseconds
        phase = .reconfiguring(call, replacement, deadline: handlerManager.deadline(milliseconds: patience))
    }

    private func reconfigured(_ replacement: Replacement, _ status: gw_status) throws(ModuleError) {
        if status >= 0 {
            reconfigured.append((replacement.former, replacement.old))
            return swap(replacement)
        }
        try renew(replacement)
    }

    /// Another instance of the same generation takes its place.
    private func renew(_ replacement: Replacement) throws(ModuleError) {
        let generation = replacement.former.instance.generation
        phase = .starting(
            try InstanceStart(generation, replacement.service, replacement.route, replacement.fresh, handlerManager),
            .replacement(replacement))
    }

    private func takeOver(_ replacement: Replacement, _ served: RouteInstance) {
        let generation = replacement.former.instance.generation
        let canMigrate = MoveObstacle(from: generation, to: generation) == nil
        unsafe handovers += handlerManager.handovers(
            from: replacement.former.bindings, to: served.binding, canMigrate ? .migrate : .drain,
            isStateless: Handover.isStateless(from: generation, to: generation),
            patience: HandlerManager.patience(replacement.route))
        leaving.append((replacement.service, replacement.former))
        finish(replacement, served)
    }

    /// Connections that older generations still have on a route go to where its present ones go.
    private func followUp(
        _ service: HandlerService, _ name: String, _ target: RouteInstance?, _ patience: UInt32
    ) {
        for serving in service.retiring {
            guard let served = serving.instances[name] else { continue }
            let generation = target?.instance.generation
            let canMigrate = generation.map { MoveObstacle(from: serving.generation, to: $0) == nil } ?? false
            let isStateless = Handover.isStateless(from: serving.generation, to: generation ?? serving.generation)
            unsafe handovers += handlerManager.handovers(
                from: served.bindings, to: target?.binding, canMigrate ? .migrate : .drain, isStateless: isStateless,
                patience: patience)
        }
    }

    /// Routes that are gone, or went to another handler.
    private func findLeaving() {
        for old in handlerManager.configuration.routes {
            let stays = next.routes.contains { $0.name == old.name && $0.handler == old.handler }
            let name = old.name
            guard !stays, let service = handlerManager.handlers[old.handler],
                let served = service.serving?.instances[name]
            else {
                continue
            }
            leaving.append((service, served))
            if let process = service.serving?.isolated { leave(process, service, old) }
            let kind: Handover.Kind = old.limits.reload == .close ? .close : .drain
            unsafe handovers += handlerManager.handovers(
                from: served.bindings, to: nil, kind, isStateless: true, patience: HandlerManager.patience(old))
            followUp(service, name, nil, HandlerManager.patience(old))
            said.append("route \(name): removed from handler \"\(old.handler)\", its connections drain")
        }
    }

    /// A route leaves the process of its handler, which the next one does not know of; or the whole handler does.
    private func leave(_ process: IsolatedHandler, _ service: HandlerService, _ old: RouteConfiguration) {
        if next.routes.contains(where: { $0.handler == old.handler }) {
            isolated.insert(service.name)
        } else {
            process.drain(until: handlerManager.deadline(milliseconds: old.limits.drainTimeoutMilliseconds))
        }
    }

    /// Handlers that nothing serves are brought up with the routes they are to have, before any peer is sent there.
    private func bringUpFresh() {
        for name in handlerManager.handlerNames(of: next) where concerned.contains(name) {
            let service = handlerManager.service(named: name)
            guard service.serving == nil else { continue }
            let places = zip(routes, next.routes).filter { $0.1.handler == name }.map {
                Reload.Place(route: $0.0, configuration: $0.1)
            }
            let reload = Reload(service, handlerManager, .file, cause: "gateway.conf names it", places: places)
            service.refusal = nil
            fresh.append(reload)
            reload.begin()
        }
        phase = .bringingUp
    }

    // MARK: Committing

    /// From here on the new configuration is in effect.
    func commit() {
        handlerManager.configuration = next
        handlerManager.routing = RoutingTable(next, routes: routes, accessLog: accessLog)
        for (service, served) in leaving {
            guard let serving = service.serving else { continue }
            let name = served.configuration.name
            if serving.instances[name]?.instance === served.instance { serving.instances[name] = nil }
            handlerManager.park(served, of: serving, service)
        }
        for (service, served) in instances {
            service.serving?.instances[served.configuration.name] = served
            unsafe routes[served.route].serve(served.binding)
        }
        for reload in fresh { commit(reload) }
        // What was refused with other settings may be taken with these.
        for name in concerned where fresh.allSatisfy({ $0.service.name != name }) {
            handlerManager.handlers[name]?.refusal = nil
        }
        for port in handlerManager.server.ports { port.post(.routing(handlerManager.routing)) }
        handlerManager.server.stallWatch?.watch(routes)
        handlerManager.send(handovers)
        for name in isolated.sorted() {
            handlerManager.restart(handlerManager.service(named: name), cause: "gateway.conf says something else of it")
        }
        phase = .handingOver(deadline: handlerManager.deadline(milliseconds: 5000))
    }

    private func commit(_ reload: Reload) {
        let name = reload.service.name
        if reload.isReady {
            reload.commit()
            // What is left of it is stepped like any other reload.
            reload.service.reloads.insert(reload, at: 0)
        } else {
            reload.service.latest = reload
        }
        for place in reload.places {
            let route = place.route.name
            let error = reload.serving?.refused.first { $0.route == route }?.error.ofRoute.description
            if let why = error ?? (reload.isUnderWay ? nil : reload.outcome?.text) {
                said.append("route \(route): not served\n\(why)")
            } else {
                said.append("route \(route): added, handler \"\(name)\"")
            }
        }
    }
}

extension RouteConfiguration {
    /// Nothing that matters at run time differs; where it stands in the file does not.
    func isSame(as other: RouteConfiguration) -> Bool {
        settings == other.settings && subprotocols == other.subprotocols && limits == other.limits
            && maxConnections == other.maxConnections && admission == other.admission && name == other.name
    }
}
