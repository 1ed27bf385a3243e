/// One limit of a route as it is in effect, and where it is set.
package struct LimitRow: Sendable, Equatable {
    package let name: String
    /// The value as it is written in a file.
    package let value: String
    /// Where it was written, in the route or in `defaults`; nil = it is the built-in default.
    package let origin: SourceLocation?
}

extension Configuration {
    /// Every limit of a route in the order of the language.
    package func limitRows(of route: RouteConfiguration) -> [LimitRow] {
        var scope = Scope()
        scope.limits = route.limits
        scope.routeConnections = route.maxConnections
        scope.admission = route.admission
        var rows: [LimitRow] = []
        for directive in Directive.table
        where directive.places.contains(.route) && directive.isInEffect(at: route.limits) {
            for (name, value) in directive.texts(in: scope) {
                let inherited = directive.places.contains(.defaults) ? limitOrigins[name] : nil
                rows.append(LimitRow(name: name, value: value, origin: route.limitOrigins[name] ?? inherited))
            }
        }
        return rows
    }

    /// The limits that no route has for itself alone, in the order of the language: those that act before the route of a
    /// request is known, and those that count over all routes.
    package var sharedLimitRows: [LimitRow] {
        var scope = Scope()
        scope.handshake = handshake
        scope.maxConnections = maxConnections
        scope.admission = admission
        let memory = LimitRow(
            name: "max_memory", value: maxMemoryBytes.map { Unit.text(bytes: Int64(clamping: $0)) } ?? "off",
            origin: origins["max_memory"])
        return [memory]
            + Directive.table.filter { $0.places == .defaults }.flatMap { directive in
                directive.texts(in: scope).map {
                    LimitRow(name: $0.name, value: $0.value, origin: limitOrigins[$0.name])
                }
            }
    }
}
