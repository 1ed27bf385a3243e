import CGatewayABI
import GatewayConfiguration
import GatewayIO
import HandlerModules
import Synchronization

extension Services {
    /// How long a reload waits for all workers to have looked at their connections once, before it reports.
    private static let passMilliseconds: UInt64 = 5000

    // MARK: Replacing a handler

    /// Puts what now lies in the handler's file into service, if it is good; else nothing changes.
    func reload(_ service: HandlerService, cause: String) -> ReloadOutcome {
        if service.serving != nil, routes(of: service.name).contains(where: { $0.configuration.limits.reload == .off })
        {
            return outcome(service, .unchanged, "reload is off for it, nothing was done")
        }
        log.info("handler \"\(service.name)\": reloading (\(cause))")
        return report(service, cause) { () throws(ModuleError) in
            let candidate = try loader.prepare(service.module)
            if let current = service.serving?.generation, current.digest == candidate.digest {
                return outcome(
                    service, .unchanged,
                    "the file is identical to generation \(current.number), nothing to do")
            }
            return try replace(service, by: candidate)
        }
    }

    /// Makes the generation before current again, from the copy of it that was kept.
    func rollback(_ service: HandlerService, cause: String) -> ReloadOutcome {
        guard let previous = service.previous else {
            return report(service, cause) { () throws(ModuleError) in
                outcome(service, .refused, "there is no generation to go back to")
            }
        }
        log.info("handler \"\(service.name)\": rolling back to generation \(previous.number) (\(cause))")
        return report(service, cause) { () throws(ModuleError) in
            try replace(service, by: loader.prepare(service.module, from: previous.path), isProven: true)
        }
    }

    /// Runs a reload and keeps what it came to.
    private func report(
        _ service: HandlerService, _ cause: String, _ body: () throws(ModuleError) -> ReloadOutcome
    ) -> ReloadOutcome {
        let began = Clock.monotonicNanoseconds()
        var result: ReloadOutcome
        do throws(ModuleError) {
            result = try body()
        } catch {
            result = outcome(service, .refused, error.serving(service.serving?.generation.number).description)
        }
        result.milliseconds = Int((Clock.monotonicNanoseconds() - began) / 1_000_000)
        result.cause = cause
        service.lastOutcome = result
        switch result.result {
        case .refused: log.error(result.line)
        case .switched, .unchanged: log.info(result.line)
        }
        return result
    }

    func outcome(_ service: HandlerService, _ result: ReloadOutcome.Result, _ text: String) -> ReloadOutcome {
        ReloadOutcome(handler: service.name, result: result, text: text)
    }

    private func replace(
        _ service: HandlerService, by candidate: consuming Candidate, isProven: Bool = false
    ) throws(ModuleError) -> ReloadOutcome {
        if !isProven { try probe(service, candidate) }
        let serving = try wrap(loader.activate(candidate, of: service.module))
        do throws(ModuleError) {
            try checkPolicies(service, serving.generation)
            try startRoutes(service, serving)
            if let old = service.serving { try handOverSelf(service, from: old, to: serving) }
        } catch {
            abandon(service, serving)
            throw error
        }
        return switchOver(service, to: serving)
    }

    /// `reload migrate` promises that no connection is left behind: what cannot keep it is refused at load.
    private func checkPolicies(_ service: HandlerService, _ next: Generation) throws(ModuleError) {
        guard let current = service.serving?.generation, !Self.canMigrate(from: current, to: next) else { return }
        for (_, route) in routes(of: service.name) where route.limits.reload == .migrate {
            throw ModuleError(
                handler: service.name, stage: .starting,
                reason: "generation \(next.number) cannot take over the connections of generation \(current.number)",
                place: "Route: \(route.pattern) (\(route.origin)), reload migrate",
                remedy: "give both save_conn and restore_conn and the same state_format, or set reload auto")
        }
    }

    private func startRoutes(_ service: HandlerService, _ serving: HandlerService.Serving) throws(ModuleError) {
        for (index, configuration) in routes(of: service.name) {
            serving.posts[configuration.pattern.description] = try post(
                serving.generation, service, configuration, routing.routes[index])
        }
    }

    /// Takes back what was started of a generation that will not serve.
    private func abandon(_ service: HandlerService, _ serving: HandlerService.Serving) {
        serving.generation.retire()
        // It was never found by anybody.
        serving.fence = Fence(workers: 0, bell: bell)
        serving.retiredAt = Clock.monotonicNanoseconds()
        settle(serving, service)
        // It may take its time.
        if !serving.isOver { service.retiring.append(serving) }
    }

    static func canMigrate(from old: Generation, to new: Generation) -> Bool {
        if old.has(GW_HF_STATELESS), new.has(GW_HF_STATELESS) { return true }
        return unsafe old.stateFormat == new.stateFormat && old.callbacks.saveConnection != nil
            && new.callbacks.restoreConnection != nil
    }

    // MARK: Switching

    private func switchOver(_ service: HandlerService, to serving: HandlerService.Serving) -> ReloadOutcome {
        let began = Clock.monotonicNanoseconds()
        let old = service.serving
        putInService(service, serving)
        if let old { retire(old, of: service) }
        let handOvers = makeHandOvers(service, to: serving)
        send(handOvers)
        waitForPasses(handOvers)
        // Writing takes as long as the disk likes, and connections do not wait for it.
        remember(serving.generation)
        return summary(service, serving, handOvers, began)
    }

    private func retire(_ old: HandlerService.Serving, of service: HandlerService) {
        old.retiredAt = Clock.monotonicNanoseconds()
        for post in old.posts.values { retire(post.record) }
        service.setPrevious(old.generation)
        service.retiring.append(old)
    }

    // MARK: Handing over

    /// A hand-over for each binding that connections of the handler's routes may hold.
    private func makeHandOvers(_ service: HandlerService, to serving: HandlerService.Serving) -> [HandOver] {
        var made: [HandOver] = []
        for old in service.retiring {
            let isStateless = old.generation.has(GW_HF_STATELESS) && serving.generation.has(GW_HF_STATELESS)
            for (pattern, former) in old.posts {
                guard let post = serving.posts[pattern] else { continue }
                let way = Self.way(post.configuration.limits.reload, from: old.generation, to: serving.generation)
                unsafe made += self.handOvers(
                    from: former.bindings, to: post.binding, way, isStateless: isStateless,
                    patience: Self.patience(post.configuration))
            }
        }
        return made
    }

    /// A hand-over for each of some bindings; to nil for connections that stay where they are until they end.
    func handOvers(
        from sources: [UnsafeMutablePointer<Binding>], to target: UnsafeMutablePointer<Binding>?, _ way: HandOver.Way,
        isStateless: Bool, patience: UInt32
    ) -> [HandOver] {
        unsafe sources.map { source in
            // Where callbacks run is settled when a connection opens.
            let isSame = unsafe target.map { unsafe $0.pointee.isPooled == source.pointee.isPooled } ?? true
            let target = unsafe isSame ? target : target?.pointee.makeOther()
            return unsafe HandOver(
                way, from: source, to: target ?? source, isStateless: isStateless, patience: patience, progress: bell)
        }
    }

    private static func way(_ policy: Limits.ReloadPolicy, from old: Generation, to new: Generation) -> HandOver.Way {
        switch policy {
        case .automatic, .migrate: canMigrate(from: old, to: new) ? .migrate : .drain
        case .drain, .off: .drain
        case .close: .close
        }
    }

    static func patience(_ route: RouteConfiguration) -> UInt32 {
        TimerWheel.ticks(milliseconds: route.limits.drainTimeoutMilliseconds)
    }

    /// Tells the workers, and sets a fence behind which no look-up finds the old bindings.
    func send(_ handOvers: [HandOver]) {
        let fence = Fence(workers: server.ports.count, bell: bell)
        for port in server.ports {
            for handOver in handOvers { port.post(.handOver(handOver)) }
            port.post(.fence(fence))
        }
        for service in handlers.values {
            for serving in service.retiring where serving.fence == nil { serving.fence = fence }
        }
    }

    /// Waits until every worker has looked at each of its connections, so that the report can say how many moved.
    func waitForPasses(_ handOvers: [HandOver]) {
        guard !handOvers.isEmpty, let poller = try? Poller(),
            (try? poller.add(bell.waker.number, token: 0, interest: .readable)) != nil
        else { return }
        let deadline = Clock.monotonicNanoseconds() + Self.passMilliseconds * 1_000_000
        while handOvers.contains(where: { $0.passed.load(ordering: .acquiring) < server.ports.count }) {
            let now = Clock.monotonicNanoseconds()
            guard now < deadline else {
                log.warn("a worker is busy: handing over goes on in the background")
                return
            }
            _ = try? poller.wait(milliseconds: Int32(clamping: (deadline - now) / 1_000_000 + 1))
            bell.waker.answer()
        }
    }

    private func summary(
        _ service: HandlerService, _ serving: HandlerService.Serving, _ handOvers: [HandOver], _ began: UInt64
    ) -> ReloadOutcome {
        var result = outcome(service, .switched, "")
        result.moved = handOvers.reduce(0) { $0 + $1.moved.load(ordering: .relaxed) }
        result.refused = handOvers.reduce(0) { $0 + $1.refused.load(ordering: .relaxed) }
        result.draining = service.retiring.reduce(0) { $0 + $1.references }
        let last = handOvers.map { $0.lastMove.load(ordering: .relaxed) }.max() ?? 0
        let took = last > began ? Double((last - began) / 1000) / 1000 : 0
        var text = "generation \(serving.generation.number) is serving"
        text += ", \(result.moved) connection\(result.moved == 1 ? "" : "s") moved"
        if result.moved > 0 { text += " in \(took) ms" }
        if result.refused > 0 { text += ", \(result.refused) refused" }
        if result.draining > 0 { text += ", \(result.draining) still with older generations" }
        return ReloadOutcome(
            handler: result.handler, result: .switched, text: text, moved: result.moved, refused: result.refused,
            draining: result.draining)
    }

    // MARK: Retiring

    /// Ends generations that nobody needs any more, and looks after fresh ones on probation. Cheap; often.
    func tidy() {
        for service in handlers.values {
            for serving in service.retiring { settle(serving, service) }
            service.retiring.removeAll { $0.isOver }
            watchProbation(service)
        }
    }

    /// Generations whose end is still to come.
    var isSettled: Bool { handlers.values.allSatisfy { $0.retiring.isEmpty && !isOnProbation($0) } }

    private func settle(_ serving: HandlerService.Serving, _ service: HandlerService) {
        guard serving.fence?.isPassed ?? false else { return }
        if serving.stopBegan == nil {
            guard serving.isUnused else { return tellDraining(serving, service) }
            // The image, and the host table, are theirs as well.
            guard serving.isPart || !service.hasParts(of: serving.generation) else { return }
        }
        if stop(serving, service) { finish(serving, service) }
    }

    private func tellDraining(_ serving: HandlerService.Serving, _ service: HandlerService) {
        if serving.isTold { return }
        serving.isTold = true
        for post in serving.posts.values { tell(service, post, UInt32(GW_EV_DRAINING)) }
    }

    /// After the last callback: the generation ends, and its image goes if it may.
    private func finish(_ serving: HandlerService.Serving, _ service: HandlerService) {
        serving.isOver = true
        if serving.isPart { return }
        let generation = serving.generation
        guard generation.end() else { return }
        // Going back to it needs its copy, which goes with its image.
        if service.previous?.number == generation.number { service.keepPrevious() }
        let outcome = loader.unload(generation)
        // A call that is just returning holds the image for a moment longer: the next round asks again.
        guard generation.unloadOutcome != nil else {
            serving.isOver = false
            return
        }
        service.module.forgetEnded()
        service.remember(serving, outcome, most: configuration.retain)
        log.info("handler \"\(service.name)\": generation \(generation.number) has ended, its image is \(outcome)")
    }

    private func isOnProbation(_ service: HandlerService) -> Bool {
        guard let serving = service.serving, service.previous != nil, let probation = probation(of: service) else {
            return false
        }
        let age = (Clock.monotonicNanoseconds() - serving.since) / 1_000_000
        return age < UInt64(clamping: probation.milliseconds)
    }

    private func probation(of service: HandlerService) -> Limits.Probation? {
        routes(of: service.name).compactMap(\.configuration.limits.probation).first
    }

    /// A fresh generation that fails too often gives way to the one before.
    private func watchProbation(_ service: HandlerService) {
        guard isOnProbation(service), let serving = service.serving, let probation = probation(of: service),
            serving.failures > probation.errors
        else { return }
        let count = serving.failures
        log.warn(
            "handler \"\(service.name)\": generation \(serving.generation.number) failed \(count) times on probation")
        _ = rollback(service, cause: "\(count) errors on probation")
        // Not back and forth: what was rolled back to is not on probation.
        service.setPrevious(nil)
    }
}
