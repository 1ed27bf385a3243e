import GatewayCluster
import GatewayControl

extension Server {
    /// Why no more peers are to be sent here, a line each that begins with its code word; empty when they are.
    func unreadiness() -> [String] {
        var reasons: [String] = []
        switch phase {
        case .serving: break
        case .starting: reasons.append("starting: handlers are being started")
        case .draining: reasons.append("draining: new connections are refused")
        case .stopping: reasons.append("stopping: the gateway ends")
        }
        for route in handlerManager.routeReports() {
            guard let why = route.unavailable else { continue }
            // Of several lines the first one says it.
            let first = why.split(separator: "\n").first.map { String($0) } ?? ""
            reasons.append("handler-unavailable: route \(route.pattern), handler \"\(route.handler)\": \(first)")
        }
        for engine in context.cluster.reports where !engine.isUp {
            let seconds = (context.clock() &- engine.since) / 1_000_000_000
            reasons.append("cluster-down: \(engine.url) for \(seconds) s: \(engine.text)")
        }
        return reasons
    }
}
