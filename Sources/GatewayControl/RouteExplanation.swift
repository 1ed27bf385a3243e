package import GatewayConfiguration
import HTTP

/// What the gateway would do with a path, by the configuration alone: no handler is loaded or asked.
package struct RouteExplanation: Sendable, Equatable {
    /// The explanation, lines with an end.
    package let text: String
    /// Whether a handler would be asked, or the console shown.
    package let isFound: Bool

    /// What a request says beside its path.
    private struct Headers {
        /// nil where nothing was said.
        let host: String?
        let origins: [String]

        init(_ headers: [(name: String, value: String)]) {
            host = headers.first { $0.name.lowercased() == "host" }?.value
            origins = headers.filter { $0.name.lowercased() == "origin" }.map(\.value)
        }

        /// Without its port.
        var hostName: ArraySlice<UInt8> {
            guard let host, let authority = WebOrigin.authority(host.utf8) else { return [] }
            return Array(authority.host.utf8)[...]
        }
    }

    /// Explains a path as a client would send it, a query included, with headers.
    package init(
        of target: String, headers: [(name: String, value: String)] = [], in configuration: Configuration
    ) {
        let headers = Headers(headers)
        let raw = String(target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)[0])
        let path: NormalizedPath
        do throws(RequestHeadError) {
            path = try NormalizedPath(raw)
        } catch {
            let answer =
                raw.hasPrefix("/") ? "this is no path that a request can have" : Self.slashMissing(raw, configuration)
            text = Self.table([("path", raw), ("answer", "400: \(answer)")])
            isFound = false
            return
        }
        let normal = String(decoding: path.bytes, as: UTF8.self)
        var rows = [("path", normal == raw ? raw : "\(raw), which is \(normal)")]
        let segments = Array(path.segments)
        let router = HostRouter(configuration.routes)
        if let host = headers.host { rows.append(("host", host)) }
        let elsewhere = headers.host == nil ? Self.places(of: path, segments, router, configuration) : []
        guard let match = router.match(host: headers.hostName, path: path.bytes, segments: segments) else {
            let console = configuration.consolePath.map { ConsolePage(path: $0) }
            isFound = console?.asked(at: Array(path.bytes)) != nil
            rows.append(("route", "none"))
            rows.append(("answer", isFound ? "the built-in console" : "404 no-route"))
            if !isFound { rows.append(("routes", configuration.routes.map(\.name).joined(separator: "  "))) }
            rows += elsewhere
            text = Self.table(rows)
            return
        }
        let route = configuration.routes[match.route]
        rows += Self.rows(of: route, match, path, headers) + elsewhere
        isFound = true
        text = Self.table(rows) + "\n" + Self.limits(of: route, in: configuration)
    }

    /// What the path is for hosts that have blocks of their own.
    private static func places(
        of path: NormalizedPath, _ segments: [Range<Int>], _ router: HostRouter, _ configuration: Configuration
    ) -> [(String, String)] {
        var hosts: [HostPattern] = []
        for host in configuration.routes.compactMap(\.host) where !hosts.contains(host) { hosts.append(host) }
        return hosts.compactMap { host in
            let name = (host.isWildcard ? "any." : "") + host.host
            let match = router.match(host: Array(name.utf8)[...], path: path.bytes, segments: segments)
            guard let match, configuration.routes[match.route].host == host else { return nil }
            let route = configuration.routes[match.route]
            return ("for a host", "\(route.name)  (\(route.origin)); see it with -H 'Host: \(name)'")
        }
    }

    private static func slashMissing(_ raw: String, _ configuration: Configuration) -> String {
        let meant = RouteExplanation(of: "/" + raw, in: configuration)
        return "paths begin with \"/\"" + (meant.isFound ? " (did you mean \"/\(raw)\"?)" : "")
    }

    private static func rows(
        of route: RouteConfiguration, _ match: Router.Match, _ path: NormalizedPath, _ headers: Headers
    ) -> [(String, String)] {
        func decoded(_ range: Range<Int>) -> String { String(decoding: path.decode(range), as: UTF8.self) }
        var rows = [("route", "\(route.name)  (\(route.origin))"), ("handler", route.handler)]
        for (name, range) in zip(route.pattern.parameterNames, match.parameters) {
            rows.append((":\(name)", decoded(range)))
        }
        if let remainder = match.remainder { rows.append(("*", decoded(remainder))) }
        for setting in route.settings { rows.append(("set", "\(setting.key) \(setting.value)")) }
        if !route.subprotocols.isEmpty {
            rows.append(("subprotocols", route.subprotocols.joined(separator: " ")))
        }
        rows += headers.origins.map { ("origin", $0) }
        let admits = route.limits.origin.admits(
            headers.origins.map { Array($0.utf8)[...] }, host: Array((headers.host ?? "").utf8)[...])
        let isJudged = !headers.origins.isEmpty || route.limits.origin.isRequired
        rows.append(
            (
                "answer",
                isJudged && !admits
                    ? "403 origin-not-allowed to a WebSocket upgrade, which wants: origin \(route.limits.origin)"
                    : "what the handler decides: 101 for a WebSocket upgrade it accepts"
            ))
        return rows
    }

    private static func limits(of route: RouteConfiguration, in configuration: Configuration) -> String {
        var table = TextTable([.init(title: "LIMIT"), .init(title: "VALUE"), .init(title: "SET BY")])
        for row in configuration.limitRows(of: route) {
            table.add([
                StyledText(row.name), StyledText(row.value), StyledText(row.origin?.detail ?? "default"),
            ])
        }
        // What counts over all routes together, or before one is known, is not a route's to set, and holds for it all the
        // same.
        for row in configuration.sharedLimitRows {
            table.add([
                StyledText("\(row.name), all routes"), StyledText(row.value),
                StyledText(row.origin?.detail ?? "default"),
            ])
        }
        return table.text(colour: false)
    }

    private static func table(_ rows: [(String, String)]) -> String {
        let width = rows.map(\.0.unicodeScalars.count).max() ?? 0
        return rows.map { name, value in
            let padding = String(repeating: " ", count: width - name.unicodeScalars.count)
            return StyledText(name).text + padding + "  " + StyledText(value).text + "\n"
        }.joined()
    }
}
