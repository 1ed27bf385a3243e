import GatewayConfiguration
import GatewayControl
import GatewayIO
import HandlerModules
import Synchronization

extension HandlerManager {
    /// The routes as they are now, for `gateway status`.
    ///
    /// - Parameter readings: what was counted, by route.
    func routeReports(_ readings: [String: [TrafficReading]] = [:]) -> [StatusReport.Route] {
        zip(configuration.routes, routing.routes).map { configuration, route in
            var report = StatusReport.Route(
                host: route.host?.description, pattern: route.pattern, handler: route.handler,
                unavailable: unavailable(route),
                connections: route.connections.load(ordering: .relaxed), reload: configuration.limits.reload.rawValue,
                compression: route.compressionReport)
            report.costs = StatusReport.Costs(route.costs)
            report.traffic = StatusReport.Traffic(readings[route.name] ?? [])
            return report
        }
    }

    private func unavailable(_ route: Route) -> String? {
        if let binding = unsafe route.binding {
            // Nothing is loaded here, and what was in the process before cannot be kept alive.
            return unsafe binding.pointee.instanceContext.isolated?.refusal?.reason
        }
        return route.unavailableReason ?? "nobody serves it yet"
    }

    /// The handlers that routes name, and those that still have connections; for `gateway status`.
    ///
    /// - Parameter isSettling: whether the file of a handler has changed and is waited for.
    func handlerReports(isSettling: (String) -> Bool) -> [StatusReport.Handler] {
        let named = handlerNames(of: configuration)
        let others = handlers.keys.filter { !named.contains($0) && isInSight($0) }.sorted()
        return (named + others).compactMap { handlers[$0] }.map {
            report(of: $0, isSettling: isSettling($0.name))
        }
    }

    private func isInSight(_ name: String) -> Bool {
        guard let service = handlers[name] else { return false }
        return !service.retiring.isEmpty || !service.ended.isEmpty
    }

    private func report(of service: HandlerService, isSettling: Bool) -> StatusReport.Handler {
        let now = server.clock()
        var report = StatusReport.Handler(name: service.name, file: service.serving?.generation.source)
        if let serving = service.serving { report.generations.append(Self.report(of: serving, .live, now)) }
        for serving in service.retiring.reversed() where !serving.isAbandoned {
            report.generations.append(Self.report(of: serving, .retiring, now))
        }
        for ended in service.ended {
            let (state, why): (StatusReport.Generation.State, String?) =
                switch ended.outcome {
                case .unloaded: (.ended, nil)
                case .pinned(let reason): (.pinned, reason)
                }
            report.generations.append(
                StatusReport.Generation(
                    ended.generation, state: state, why: why,
                    sinceMilliseconds: Self.milliseconds(from: ended.at, to: now), builtAt: ended.builtAt,
                    connections: 0, errors: ended.failures, stalls: ended.stalls))
        }
        report.trouble = service.trouble
        if service.standing.rolledBack != nil, service.serving?.buildOf != nil { report.note = service.heldBack }
        let reload = service.reloads.first { $0.isUnderWay }
        report.state = (reload?.state ?? (isSettling ? .settling : service.latest?.state ?? .idle)).rawValue
        report.olderBuilds = service.history.entries.count
        report.lastReload = service.lastOutcome.map { outcome in
            let reload = service.latest.flatMap {
                $0.outcome?.at == outcome.at && $0.outcome?.text == outcome.text ? $0 : nil
            }
            return StatusReport.Reload(outcome, service, reload)
        }
        return report
    }

    private static func report(
        of serving: ServingGeneration, _ state: StatusReport.Generation.State, _ now: UInt64
    ) -> StatusReport.Generation {
        StatusReport.Generation(
            serving.generation, state: state, why: why(serving),
            sinceMilliseconds: milliseconds(from: serving.retiredAt ?? serving.since, to: now),
            builtAt: serving.builtAt, connections: serving.references, errors: serving.failures, stalls: serving.stalls)
    }

    private static func why(_ serving: ServingGeneration) -> String? {
        if serving.isPart { return "for routes that have left it" }
        guard let isolated = serving.isolated else { return nil }
        return isolated.failure ?? isolated.process.map { "process \($0.number)" } ?? "its process is started again"
    }

    private static func milliseconds(from then: UInt64, to now: UInt64) -> UInt64 {
        (max(then, now) - then) / 1_000_000
    }
}

extension StatusReport.Costs {
    init(_ counters: CostCounters) {
        self.init()
        writeTimeouts = counters.writeTimeouts.load(ordering: .relaxed)
        closed = counters.closed.load(ordering: .relaxed)
        droppedNew = counters.droppedNew.load(ordering: .relaxed)
        droppedOld = counters.droppedOld.load(ordering: .relaxed)
        pausedReads = counters.pausedReads.load(ordering: .relaxed)
    }
}

extension StatusReport.Reload {
    /// Counts go on after the outcome: a busy connection moves later, a draining one leaves.
    init(_ outcome: ReloadOutcome, _ service: HandlerService, _ reload: Reload?) {
        self.init(
            at: outcome.at, cause: outcome.cause, isAccepted: outcome.result != .refused, outcome: outcome.text,
            milliseconds: UInt64(max(0, outcome.milliseconds)), moved: reload?.moved ?? outcome.moved,
            refused: reload?.refused ?? outcome.refused, closed: reload?.closed ?? 0, draining: service.draining,
            movingMilliseconds: outcome.movingMilliseconds)
    }
}
