import CGatewayABI
import GatewayConfiguration
import Synchronization

/// Every route with whoever serves it now. Shared by all workers; only the serving instance of a route changes.
final class RoutingTable: Sendable {
    let router: Router
    let routes: [Route]
    /// Where the built-in console answers; nil for nowhere.
    let consolePath: String?

    init(router: Router, routes: [Route], consolePath: String?) {
        self.router = router
        self.routes = routes
        self.consolePath = consolePath
    }
}

/// One route of the configuration.
final class Route: Sendable {
    let index: Int
    let pattern: String
    let handler: String
    let parameterNames: [String]
    /// In the configuration's order; the client's first offer that is listed is chosen.
    let subprotocols: [[UInt8]]
    let limits: RouteLimits
    /// The address of the binding that new peers get; 0 while nobody serves the route.
    private let serving = Atomic<UInt>(0)
    /// Why nobody does.
    private let trouble = Mutex<String?>(nil)

    init(
        index: Int, pattern: String, handler: String, parameterNames: [String], subprotocols: [String],
        limits: RouteLimits
    ) {
        self.index = index
        self.pattern = pattern
        self.handler = handler
        self.parameterNames = parameterNames
        self.subprotocols = subprotocols.map { Array($0.utf8) }
        self.limits = limits
    }

    /// Workers, at each handshake: who serves the route.
    var binding: UnsafeMutablePointer<Binding>? {
        unsafe UnsafeMutablePointer(bitPattern: serving.load(ordering: .acquiring))
    }

    /// Control thread: from this store on new peers get another instance.
    func serve(_ binding: UnsafeMutablePointer<Binding>) {
        trouble.withLock { $0 = nil }
        serving.store(UInt(bitPattern: binding), ordering: .releasing)
    }

    /// Control thread: nobody can serve the route.
    func fail(_ reason: String) { trouble.withLock { $0 = reason } }

    var unavailableReason: String? { trouble.withLock { $0 } }
}
