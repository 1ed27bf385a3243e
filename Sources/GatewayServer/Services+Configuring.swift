import CGatewayABI
import GatewayConfiguration
import GatewayIO
import HandlerModules
import Synchronization

extension Services {
    /// A change of configuration that has been prepared and not yet committed.
    private struct Change {
        var routes: [Route] = []
        var handOvers: [HandOver] = []
        /// Posts that serve from the commit on, by handler and pattern.
        var posts: [(service: HandlerService, pattern: String, post: HandlerService.Post)] = []
        /// Instances that were started for it: stopped again if it comes to nothing.
        var started: [(record: InstanceRecord, service: HandlerService)] = []
        /// Instances that took other settings: told the old ones again if it comes to nothing.
        var reconfigured: [(instance: Instance, old: RouteConfiguration)] = []
        /// Posts that serve nobody new from the commit on.
        var leaving: [(service: HandlerService, post: HandlerService.Post)] = []
        var said: [String] = []
    }

    /// Takes over a configuration; only what changed is touched. When an instance refuses, nothing changes.
    ///
    /// - Returns: a text for people, and whether it was taken.
    func apply(_ next: Configuration) -> (text: String, isTaken: Bool) {
        var change = Change()
        do throws(ModuleError) {
            for (index, route) in next.routes.enumerated() { try prepare(route, at: index, &change) }
        } catch {
            takeBack(change)
            return ("configuration refused, nothing was changed:\n\(error.description)", false)
        }
        findLeaving(next, &change)
        commit(next, &change)
        let text = change.said.isEmpty ? "configuration: no route changed" : change.said.joined(separator: "\n")
        log.info(text)
        return (text, true)
    }

    private func takeBack(_ change: Change) {
        for (record, service) in change.started { stop(record, service, patience: .seconds(1)) }
        for (instance, old) in change.reconfigured {
            let timeout = Duration.milliseconds(old.limits.startTimeoutMilliseconds)
            let status = (try? instance.reconfigure(RouteSettings(old), timeout: timeout)) ?? gw_status(GW_E_FAILED)
            if status < 0 {
                log.warn(
                    "route \(old.pattern): its handler did not take its old settings back (\(StatusName.of(status)))")
            }
        }
    }

    // MARK: Preparing

    private func prepare(_ route: RouteConfiguration, at index: Int, _ change: inout Change) throws(ModuleError) {
        let pattern = route.pattern.description
        guard let place = configuration.routes.firstIndex(where: { $0.pattern == route.pattern }),
            configuration.routes[place].handler == route.handler,
            let service = handlers[route.handler], let post = service.serving?.posts[pattern]
        else {
            return add(route, at: index, &change)
        }
        let old = configuration.routes[place]
        if old.isSame(as: route) {
            change.routes.append(routing.routes[place])
            return
        }
        let fresh = Route(route, index: index)
        change.routes.append(fresh)
        change.said.append("route \(pattern): reconfigured")
        if old.settings == route.settings {
            swap(service, post, route, fresh, &change)
        } else {
            try reconfigure(service, post, old, route, fresh, &change)
        }
    }

    /// Hand-overs of connections that older generations still have on a route: to where its present ones go.
    private func followUp(
        _ service: HandlerService, _ pattern: String, _ target: HandlerService.Post?, _ patience: UInt32
    ) -> [HandOver] {
        var made: [HandOver] = []
        for serving in service.retiring {
            guard let post = serving.posts[pattern] else { continue }
            let next = target?.instance.generation
            let canMigrate = next.map { Self.canMigrate(from: serving.generation, to: $0) } ?? false
            let isStateless = serving.generation.has(GW_HF_STATELESS) && (next?.has(GW_HF_STATELESS) ?? true)
            unsafe made += handOvers(
                from: post.bindings, to: target?.binding, canMigrate ? .migrate : .drain, isStateless: isStateless,
                patience: patience)
        }
        return made
    }

    /// The instance stays; its connections get the new limits.
    private func swap(
        _ service: HandlerService, _ post: HandlerService.Post, _ route: RouteConfiguration, _ fresh: Route,
        _ change: inout Change
    ) {
        var next = post
        next.configuration = route
        unsafe next.former.append(post.binding)
        unsafe next.binding = Binding.make(post.binding.pointee.record, route: fresh)
        unsafe change.handOvers += handOvers(
            from: next.former, to: next.binding, .swap, isStateless: true, patience: 0)
        change.handOvers += followUp(service, route.pattern.description, next, Self.patience(route))
        change.posts.append((service, route.pattern.description, next))
    }

    /// Its settings changed: the instance takes them, or another one of the same generation takes its place.
    private func reconfigure(
        _ service: HandlerService, _ post: HandlerService.Post, _ old: RouteConfiguration, _ route: RouteConfiguration,
        _ fresh: Route, _ change: inout Change
    ) throws(ModuleError) {
        let timeout = Duration.milliseconds(route.limits.startTimeoutMilliseconds)
        if try post.instance.reconfigure(RouteSettings(route), timeout: timeout) >= 0 {
            change.reconfigured.append((post.instance, old))
            return swap(service, post, route, fresh, &change)
        }
        let generation = post.instance.generation
        let next = try self.post(generation, service, route, fresh)
        change.started.append((next.record, service))
        try transferSelf(service, from: post, to: next)
        let canMigrate = Self.canMigrate(from: generation, to: generation)
        unsafe change.handOvers += handOvers(
            from: post.bindings, to: next.binding, canMigrate ? .migrate : .drain,
            isStateless: generation.has(GW_HF_STATELESS), patience: Self.patience(route))
        change.handOvers += followUp(service, route.pattern.description, next, Self.patience(route))
        change.posts.append((service, route.pattern.description, next))
        change.leaving.append((service, post))
    }

    /// A route that was not there, or had another handler, or none that could serve.
    private func add(_ route: RouteConfiguration, at index: Int, _ change: inout Change) {
        let fresh = Route(route, index: index)
        change.routes.append(fresh)
        let pattern = route.pattern.description
        let service = service(named: route.handler)
        do throws(ModuleError) {
            if service.serving == nil {
                let candidate = try loader.prepare(service.module)
                try probe(service, candidate, [route])
                let serving = try wrap(loader.activate(candidate, of: service.module))
                service.module.makeLive(serving.generation)
                service.serving = serving
            }
            guard let generation = service.serving?.generation else { return }
            let post = try post(generation, service, route, fresh)
            change.started.append((post.record, service))
            change.posts.append((service, pattern, post))
            change.said.append("route \(pattern): added, handler \"\(route.handler)\"")
        } catch {
            // As at start: one handler that cannot serve does not keep the rest of the file from taking effect.
            fresh.fail(error.reason)
            change.said.append("route \(pattern): not served\n\(error.description)")
        }
    }

    /// Routes that are gone, or went to another handler.
    private func findLeaving(_ next: Configuration, _ change: inout Change) {
        for old in configuration.routes {
            let stays = next.routes.contains { $0.pattern == old.pattern && $0.handler == old.handler }
            let pattern = old.pattern.description
            guard !stays, let service = handlers[old.handler], let post = service.serving?.posts[pattern] else {
                continue
            }
            service.serving?.posts[pattern] = nil
            change.leaving.append((service, post))
            let way: HandOver.Way = old.limits.reload == .close ? .close : .drain
            unsafe change.handOvers += handOvers(
                from: post.bindings, to: nil, way, isStateless: true, patience: Self.patience(old))
            change.handOvers += followUp(service, pattern, nil, Self.patience(old))
            change.said.append("route \(pattern): removed from handler \"\(old.handler)\", its connections drain")
        }
    }

    // MARK: Committing

    private func commit(_ next: Configuration, _ change: inout Change) {
        configuration = next
        for (service, pattern, post) in change.posts {
            service.serving?.posts[pattern] = post
            unsafe change.routes[post.route].serve(post.binding)
        }
        routing = RoutingTable(next, routes: change.routes)
        for (service, post) in change.leaving { park(post, service) }
        for port in server.ports { port.post(.routing(routing)) }
        send(change.handOvers)
        waitForPasses(change.handOvers)
    }

    /// An instance that leaves while its generation stays is looked after like a retiring generation.
    private func park(_ post: HandlerService.Post, _ service: HandlerService) {
        guard let serving = service.serving else { return }
        let parked = HandlerService.Serving(serving.generation, context: serving.context, isPart: true)
        parked.posts[post.configuration.pattern.description] = post
        parked.retiredAt = Clock.monotonicNanoseconds()
        retire(post.record)
        service.retiring.append(parked)
    }
}

extension RouteConfiguration {
    /// Nothing that matters at run time differs; where it stands in the file does not.
    fileprivate func isSame(as other: RouteConfiguration) -> Bool {
        settings == other.settings && subprotocols == other.subprotocols && limits == other.limits
            && maxConnections == other.maxConnections && pattern == other.pattern
    }
}
