package import GatewayConfiguration
import Glibc

extension Configuration {
    /// What the process of a handler has of it: its routes, and nothing that others could come in by.
    package func only(_ handler: String) -> Configuration {
        var own = self
        own.routes = routes.filter { $0.handler == handler }
        own.listeners = []
        (own.controlPath, own.admin, own.consolePath, own.user) = (nil, nil, nil, nil)
        own.pluginsWatch = false
        // Each process is a gateway of its own to the others.
        if let name = cluster?.name { own.cluster?.name = "\(name)-\(handler)-\(getpid())" }
        return own
    }
}

extension RouteConfiguration {
    /// Its handler runs in a process of its own.
    var isIsolated: Bool { limits.isolation.mode == .process }
}
