import CGatewayABI
import GatewayConfiguration
import GatewayIO
import HandlerModules
import Synchronization

/// What becomes of generations that are replaced, of instances that stop, and of those that prove good.
extension HandlerManager {
    /// How long `stop` of an instance is waited for before that is said; what it keeps stays then.
    private static let stopNanoseconds: UInt64 = 10_000_000_000
    /// How long a generation serves before it has proved good, where its route has no `probation`.
    private static let trialMilliseconds: Int64 = 30_000

    /// Ends generations that are not needed any more, and looks after fresh ones. Cheap; often.
    func tidy(_ now: UInt64) {
        for service in handlers.values {
            for serving in service.retiring { stepRetiring(serving, service) }
            service.retiring.removeAll { $0.isOver }
            if isEnding { continue }
            watchProbation(service, now)
            watchTrial(service, now)
        }
        pendingCalls.removeAll { pendingCall in
            guard let complaint = pendingCall.complaint(now) else { return false }
            if let complaint { log.warn(complaint) }
            return true
        }
        diskWriter.step()
    }

    /// Generations whose end is still to come, or that are on probation.
    var isSettled: Bool {
        handlers.values.allSatisfy { $0.retiring.isEmpty && !isOnProbation($0, server.clock()) }
    }

    // MARK: Retiring

    /// A generation gets no new connections any more.
    func retire(_ old: ServingGeneration, of service: HandlerService, isKept: Bool) {
        old.retiredAt = server.clock()
        for served in old.instances.values { retire(served.instanceContext) }
        if isKept, !old.isStandIn {
            let generation = old.generation
            service.history.add(
                generation.path, generation: old.buildOf ?? generation.number, most: configuration.retain)
        }
        service.retiring.append(old)
    }

    /// Another program serves from now on: nothing here gets new connections any more.
    func giveWay() {
        for service in handlers.values {
            guard let serving = service.serving else { continue }
            for served in serving.instances.values { retire(served.instanceContext) }
            tellDraining(serving, service)
        }
    }

    /// Takes back what was started of a generation that will not serve.
    func abandon(_ serving: ServingGeneration, _ service: HandlerService) {
        serving.generation.retire()
        serving.isAbandoned = true
        // No worker ever found the generation.
        serving.fence = Fence(passers: 0, bell: loop.bell)
        serving.retiredAt = server.clock()
        service.retiring.append(serving)
    }

    /// An instance that leaves while its generation stays is looked after like a retiring generation.
    func park(_ served: RouteInstance, of serving: ServingGeneration, _ service: HandlerService) {
        let parked = ServingGeneration(serving.generation, context: serving.context, isPart: true)
        parked.instances[served.configuration.name] = served
        parked.retiredAt = server.clock()
        retire(served.instanceContext)
        service.retiring.append(parked)
    }

    private func stepRetiring(_ serving: ServingGeneration, _ service: HandlerService) {
        guard serving.fence?.isPassed ?? false else { return }
        if serving.stopBegan == nil {
            let isDue = serving.isAbandoned || isStoppingAll || serving.isUnused && serving.endHolds()
            guard isDue else { return tellDraining(serving, service) }
            // The image, and the host table, are theirs as well.
            guard serving.isPart || !service.hasParts(of: serving.generation) else { return }
        }
        if stop(serving, service) { finish(serving, service) }
    }

    private func tellDraining(_ serving: ServingGeneration, _ service: HandlerService) {
        if serving.isTold { return }
        serving.isTold = true
        for served in serving.instances.values where unsafe served.instance.generation.callbacks.event != nil {
            let instanceContext = served.instanceContext
            begin("handler \"\(service.name)\" on \(served.configuration.name), told to drain", served) { _ in
                instanceContext.tell(UInt32(GW_EV_DRAINING))
                return 0
            }
        }
    }

    /// A call whose answer only concerns the log.
    func begin(
        _ subject: String, _ served: RouteInstance, _ body: @escaping @Sendable (Instance) -> gw_status
    ) {
        do throws(SystemError) {
            let call = try served.instance.begin(bell: ring, body)
            let patience = served.configuration.limits.startTimeoutMilliseconds
            pendingCalls.append(PendingCall(call: call, deadline: deadline(milliseconds: patience), subject: subject))
        } catch {
            log.warn("\(subject): there is no thread for it: \(error)")
        }
    }

    /// After the last callback: the generation ends, and its image goes if it may.
    private func finish(_ serving: ServingGeneration, _ service: HandlerService) {
        serving.isOver = true
        if !serving.isPart { serving.isolated?.stop() }
        if serving.isPart || isStoppingAll { return }
        let generation = serving.generation
        generation.end()
        guard let outcome = unload(serving) else {
            serving.isOver = false
            return
        }
        service.module.forgetEnded()
        if serving.isAbandoned {
            return log.debug(
                "handler \"\(service.name)\": what did not come to serve has ended, its image is \(outcome)")
        }
        service.remember(serving, outcome, at: server.clock(), most: configuration.retain)
        log.info("handler \"\(service.name)\": generation \(generation.number) has ended, its image is \(outcome)")
    }

    /// What became of the image; nil while that is still to come. Its destructors run on a thread of their own.
    private func unload(_ serving: ServingGeneration) -> UnloadOutcome? {
        let (loader, generation) = (loader, serving.generation)
        if let unloading = serving.unloading {
            guard let outcome = unloading.answer else { return nil }
            if generation.unloadOutcome != nil { return outcome }
            // A call that was just returning held the image for a moment longer.
        }
        do throws(SystemError) {
            serving.unloading = try TimedCall(bell: ring) { loader.unload(generation) }
        } catch {
            log.warn("handler \"\(generation.handler)\": no thread for its unloading: \(error)")
        }
        return nil
    }

    // MARK: Stopping

    /// Stops the instances of a generation, or some of them, after their last callback.
    ///
    /// - Returns: false while one is busy with it: ask again. One that stays so is left alone after a while.
    private func stop(_ serving: ServingGeneration, _ service: HandlerService) -> Bool {
        let now = server.clock()
        if serving.stopBegan == nil {
            serving.stopBegan = now
            for served in serving.instances.values { close(served.instanceContext) }
        }
        // The header: stop() waits for work(), and comes after the last callback.
        for served in serving.instances.values
        where served.instance.phase == .running && !isAtWork(served.instanceContext) {
            stop(served.instanceContext, log)
        }
        let isBusy = serving.instances.values.contains {
            $0.instance.phase == .stopping || isAtWork($0.instanceContext)
        }
        if isBusy {
            guard now &- (serving.stopBegan ?? now) > Self.stopNanoseconds else { return false }
            if !serving.saidBusy {
                serving.saidBusy = true
                log.warn(
                    "handler \"\(service.name)\" generation \(serving.generation.number): still busy with its stop after"
                        + " 10 s; it is left alone")
            }
        }
        // The host table belongs to the whole generation.
        if !serving.isPart { serving.context.isRetired.store(true, ordering: .releasing) }
        return true
    }

    private func isAtWork(_ instanceContext: InstanceContext) -> Bool {
        instanceContext.hasJobs || instanceContext.callbackQueues.load(ordering: .acquiring) > 0
    }

    /// Begins to stop an instance.
    func stop(_ instanceContext: InstanceContext, _ log: Log) {
        close(instanceContext)
        do throws(SystemError) {
            try instanceContext.instance.beginStop(behind: { instanceContext.waitForCalls() }, bell: ring)
        } catch {
            log.warn("handler \"\(instanceContext.instance.generation.handler)\": could not be stopped: \(error)")
        }
    }

    // MARK: Instances

    /// `start` has succeeded: what came for [home] meanwhile is delivered.
    func open(_ instanceContext: InstanceContext) {
        instanceContext.isOpen.store(true, ordering: .releasing)
        server.ports[instanceContext.home].post(.openHome(instanceContext))
    }

    /// The instance serves no new connections: the timers of [home] end, those of connections go with them.
    func retire(_ instanceContext: InstanceContext) {
        instanceContext.isRetiring.store(true, ordering: .releasing)
        server.ports[instanceContext.home].timers.end(.home(instanceContext.instance.id))
    }

    /// Nothing of the instance is begun any more, and no instance has its number.
    func close(_ instanceContext: InstanceContext) {
        if instanceContext.hasStopped { return }
        instanceContext.stop()
        _ = server.instances.remove(instanceContext.instance.id)
        server.counters.end(instanceContext.counters)
        retire(instanceContext)
        server.ports[instanceContext.home].post(.openHome(instanceContext))
    }

    // MARK: Handing over

    /// A hand-over for each of some bindings; to nil for connections that stay where they are until they end.
    func handovers(
        from sources: [UnsafeMutablePointer<Binding>], to target: UnsafeMutablePointer<Binding>?, _ kind: Handover.Kind,
        isStateless: Bool, patience: UInt32
    ) -> [Handover] {
        unsafe sources.map { source in
            // Where callbacks run is settled when a connection opens.
            let isSame = unsafe target.map { unsafe $0.pointee.isPooled == source.pointee.isPooled } ?? true
            // Loops would wait for callbacks that block on the pool: these connections stay where they are.
            if !isSame, unsafe target?.pointee.generation.has(GW_HF_SERIAL) ?? false {
                return unsafe Handover(
                    .drain, from: source, to: source, isStateless: isStateless, patience: patience, progress: loop.bell)
            }
            let target = unsafe isSame ? target : target?.pointee.makeOther()
            return unsafe Handover(
                kind, from: source, to: target ?? source, isStateless: isStateless, patience: patience,
                progress: loop.bell)
        }
    }

    static func patience(_ route: RouteConfiguration) -> UInt32 {
        TimerWheel.ticks(milliseconds: route.limits.drainTimeoutMilliseconds)
    }

    /// Tells the workers, and sets a fence behind which no look-up finds the old bindings.
    func send(_ handovers: [Handover]) {
        let fence = Fence(passers: server.ports.count, bell: loop.bell)
        for port in server.ports {
            for handover in handovers { port.post(.handover(handover)) }
            port.post(.fence(fence))
        }
        for service in handlers.values {
            for serving in service.retiring where serving.fence == nil { serving.fence = fence }
        }
    }

    /// Whether every worker has looked at each of its connections.
    func havePassed(_ handovers: [Handover]) -> Bool {
        handovers.allSatisfy { $0.passed.load(ordering: .acquiring) >= server.ports.count }
    }

    // MARK: Probation

    private func probation(of service: HandlerService) -> Limits.Probation? {
        places(of: service.name).compactMap(\.configuration.limits.probation).first
    }

    private func isOnProbation(_ service: HandlerService, _ now: UInt64) -> Bool {
        // Not back and forth: what was rolled back to is not on probation.
        guard let serving = service.serving, serving.buildOf == nil, service.history.newest != nil,
            service.reloads.isEmpty, let probation = probation(of: service)
        else { return false }
        return now < serving.since &+ UInt64(clamping: probation.milliseconds) &* 1_000_000
    }

    /// A fresh generation that fails too often gives way to the one before.
    private func watchProbation(_ service: HandlerService, _ now: UInt64) {
        guard isOnProbation(service, now), let serving = service.serving, let probation = probation(of: service),
            serving.failures > probation.errors
        else { return }
        let count = serving.failures
        log.warn(
            "handler \"\(service.name)\": generation \(serving.generation.number) failed \(count) times on probation")
        _ = rollback(service, cause: "\(count) errors on probation")
        loop.bell.ring()
    }

    /// How long a generation of a handler has to serve, and how often it may fail in that time.
    private func probationTerms(of service: HandlerService) -> (nanoseconds: UInt64, errors: Int) {
        let probation = probation(of: service)
        let milliseconds = probation?.milliseconds ?? Self.trialMilliseconds
        return (UInt64(clamping: milliseconds) &* 1_000_000, probation?.errors ?? Limits.Probation.defaultErrors)
    }

    /// A generation that served for a while without trouble has proved good: its build is what a start falls back on.
    private func watchTrial(_ service: HandlerService, _ now: UInt64) {
        // What is kept for a start is the first process' affair.
        guard given == nil, let serving = service.serving, !serving.isProven, !serving.isStandIn else { return }
        let terms = probationTerms(of: service)
        let began = serving.probation ?? (serving.since, 0)
        guard now >= began.began &+ terms.nanoseconds else { return }
        guard serving.failures - began.failures <= terms.errors else {
            serving.probation = (now, serving.failures)
            return
        }
        serving.isProven = true
        let (lastGood, path, name) = (lastGood, serving.generation.path, service.name)
        log.debug("handler \"\(name)\": generation \(serving.generation.number) has proved good")
        diskWriter.add {
            do throws(LastGood.Failure) {
                try lastGood.remember(path, handler: name)
                return nil
            } catch {
                return "handler \"\(name)\": \(error)"
            }
        }
    }

    /// When a generation may have proved good.
    var nextProbation: UInt64? {
        if isEnding || given != nil { return nil }
        return handlers.values.compactMap { service -> UInt64? in
            guard let serving = service.serving, !serving.isProven, !serving.isStandIn else { return nil }
            return (serving.probation?.began ?? serving.since) &+ probationTerms(of: service).nanoseconds
        }.min()
    }

    /// What was decided about a handler holds over a restart.
    func keep(_ standing: Standing, of service: HandlerService, _ generation: Generation) {
        guard given == nil, standing != service.standing else { return }
        service.standing = standing
        let (lastGood, path, name) = (lastGood, generation.path, service.name)
        diskWriter.add {
            do throws(LastGood.Failure) {
                if standing.rolledBack != nil { try lastGood.rememberRollback(path, handler: name) }
                try lastGood.remember(standing, handler: name)
                return nil
            } catch {
                return "handler \"\(name)\": \(error); this does not hold over a restart"
            }
        }
    }
}
