/// Finds the route of a host and a path: those of the host's own block first, then of wildcards, the longest first, then
/// those outside of any block. Built once per configuration, then only read: any thread may ask it.
package struct HostRouter: Sendable {
    private struct Block: Sendable {
        let host: HostPattern?
        let router: Router
        /// The place of each of its routes in the configuration.
        let routes: [Int]
    }

    /// The order in which they are tried.
    private let blocks: [Block]
    /// No route has a host, as in most configurations.
    private let isPlain: Bool
    /// Of all routes, where that is so: a router in a place of its own costs no copy.
    private let plain: Router

    package init(_ routes: [RouteConfiguration]) {
        var hosts: [HostPattern?] = []
        for route in routes where !hosts.contains(route.host) { hosts.append(route.host) }
        blocks = hosts.sorted(by: Self.isBefore).map { host in
            let own = routes.indices.filter { routes[$0].host == host }
            return Block(host: host, router: Router(own.map { routes[$0].pattern }), routes: own)
        }
        isPlain = hosts.allSatisfy { $0 == nil }
        plain = Router(isPlain ? routes.map(\.pattern) : [])
    }

    private static func isBefore(_ first: HostPattern?, _ second: HostPattern?) -> Bool {
        guard let first, let second else { return first != nil && second == nil }
        guard first.isWildcard == second.isWildcard else { return second.isWildcard }
        // Of wildcards that cover one host the longer one is the closer one.
        return first.host.utf8.count > second.host.utf8.count
    }

    /// The route of a request; nil when there is none.
    ///
    /// - Parameters:
    ///   - host: the host it names, without the port.
    ///   - path: normalised; `segments` are the ranges between its slashes, an empty last one included.
    package func match(
        host: @autoclosure () -> ArraySlice<UInt8>, path: borrowing [UInt8], segments: [Range<Int>]
    ) -> Router.Match? {
        if isPlain { return plain.match(path: path, segments: segments) }
        let requested = HostPattern.requested(host())
        for block in blocks where block.host?.covers(requested) ?? true {
            if var match = block.router.match(path: path, segments: segments) {
                match.route = block.routes[match.route]
                return match
            }
        }
        return nil
    }
}
