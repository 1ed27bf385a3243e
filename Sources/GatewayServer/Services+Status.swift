import GatewayConfiguration
import GatewayIO
import HandlerModules
import Synchronization

extension Services {
    /// The routes as they are now, for `gateway status`.
    func routeReports() -> [StatusReport.Route] {
        zip(configuration.routes, routing.routes).map { configuration, route in
            StatusReport.Route(
                pattern: route.pattern, handler: route.handler, unavailable: unavailable(route),
                connections: route.connections.load(ordering: .relaxed), reload: configuration.limits.reload.rawValue)
        }
    }

    private func unavailable(_ route: Route) -> String? {
        if unsafe route.binding != nil { return nil }
        return route.unavailableReason ?? "nobody serves it yet"
    }

    /// The handlers that routes name, and those that still have connections; for `gateway status`.
    func handlerReports() -> [StatusReport.Handler] {
        let named = handlerNames(of: configuration)
        let others = handlers.keys.filter { !named.contains($0) && isInSight($0) }.sorted()
        return (named + others).compactMap { handlers[$0] }.map { report(of: $0) }
    }

    private func isInSight(_ name: String) -> Bool {
        guard let service = handlers[name] else { return false }
        return !service.retiring.isEmpty || !service.ended.isEmpty
    }

    private func report(of service: HandlerService) -> StatusReport.Handler {
        let now = Clock.monotonicNanoseconds()
        var report = StatusReport.Handler(name: service.name, file: service.serving?.generation.source)
        if let serving = service.serving { report.generations.append(Self.report(of: serving, .live, now)) }
        for serving in service.retiring.reversed() {
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
                    connections: 0, errors: ended.failures))
        }
        report.lastReload = service.lastOutcome.map { StatusReport.Reload($0, draining: service.draining) }
        return report
    }

    private static func report(
        of serving: HandlerService.Serving, _ state: StatusReport.Generation.State, _ now: UInt64
    ) -> StatusReport.Generation {
        StatusReport.Generation(
            serving.generation, state: state, why: serving.isPart ? "for routes that have left it" : nil,
            sinceMilliseconds: milliseconds(from: serving.retiredAt ?? serving.since, to: now),
            builtAt: serving.builtAt, connections: serving.references, errors: serving.failures)
    }

    private static func milliseconds(from then: UInt64, to now: UInt64) -> UInt64 {
        (max(then, now) - then) / 1_000_000
    }
}

extension HandlerService {
    /// Requests and connections that are with older generations.
    var draining: Int { retiring.reduce(0) { $0 + $1.references } }
}

extension StatusReport.Reload {
    fileprivate init(_ outcome: ReloadOutcome, draining: Int) {
        self.init(
            at: outcome.at, cause: outcome.cause, isAccepted: outcome.result != .refused, outcome: outcome.text,
            milliseconds: UInt64(max(0, outcome.milliseconds)), moved: outcome.moved, refused: outcome.refused,
            draining: draining)
    }
}
