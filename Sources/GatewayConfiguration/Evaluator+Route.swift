extension Evaluator {
    mutating func evaluateHost(_ entry: Admitted) {
        let inner = admit(entry.statement.block ?? [], in: .host)
        guard let word = onlyValue(entry) else { return }
        do throws(HostPattern.Failure) {
            let host = try HostPattern(word.text)
            if let first = hostRanges[host] {
                return reportDuplicate("host \(Quotation.short(word.text))", at: word.range, first: first)
            }
            hostRanges[host] = word.range
            for route in inner { evaluateRoute(route, in: host) }
            if entry.statement.block?.isEmpty != false {
                report.warning("host \(Quotation.short(word.text)) has no route", at: word.range)
            }
        } catch {
            report.error("\(Quotation.short(word.text)) \(error.sentence)", at: word.range)
        }
    }

    /// - Parameter host: whose block it stands in.
    mutating func evaluateRoute(_ entry: Admitted, in host: HostPattern?) {
        let inner = admit(entry.statement.block ?? [], in: .route)
        guard let word = onlyValue(entry) else { return }
        let pattern: RoutePattern
        do throws(RoutePattern.Failure) {
            pattern = try RoutePattern(word.text)
        } catch {
            report.error("\(Quotation.short(word.text)) \(error.sentence)", at: word.range)
            return
        }
        // `/rooms/:a` and `/rooms/:b` are the same paths: the second could never be reached.
        let shape = (host?.description ?? "") + pattern.shape
        if let first = routeRanges[shape] {
            return reportDuplicate("route \(Quotation.short(word.text))", at: word.range, first: first)
        }
        routeRanges[shape] = word.range
        let origin = report.location(of: entry.statement.name.range)
        var route = RouteConfiguration(host: host, pattern: pattern, handler: "", origin: origin)
        var scope = Scope()
        scope.limits = defaults.limits
        for statement in inner { apply(statement, to: &scope, of: &route) }
        // Not `inner`: a handler that is there and wrong has been reported.
        if entry.statement.block?.contains(where: { $0.name.text == "handler" }) != true {
            report.error(
                "route \(Quotation.short(word.text)) has no handler", at: word.range,
                notes: ["Add a line such as: handler echo;"])
        }
        settle(&scope, inheritsFrame: defaults.ranges["max_frame"] != nil)
        settleIsolation(&scope, handler: route.handler, at: word.range)
        route.limits = scope.limits
        route.maxConnections = scope.routeConnections
        route.admission = scope.admission
        route.limitOrigins = scope.ranges.mapValues { report.location(of: $0) }
        configuration.routes.append(route)
    }

    private mutating func apply(_ entry: Admitted, to scope: inout Scope, of route: inout RouteConfiguration) {
        guard case .special(let special) = entry.directive.setting else { return apply(entry, to: &scope) }
        scope.ranges[entry.directive.name] = entry.statement.name.range
        switch special {
        case .handler:
            if let name = handlerName(entry) { route.handler = name }
        case .set:
            if let setting = routeSetting(entry, &scope.keys) {
                route.settings.append(setting)
                scope.ranges["set \(setting.key)"] = entry.statement.name.range
            }
        case .subprotocols:
            route.subprotocols = subprotocols(entry)
        case .listen, .trustedProxies, .user, .threads, .busyPoll, .maxMemory, .plugins, .stateFolder, .mode: break
        case .console, .control, .accessLog, .errorLog, .defaults, .host, .route, .include: break
        case .certificate, .protocols, .ciphers, .clientAuthority: break
        case .admin, .tokenFile, .adminHosts, .cluster, .passwordFile: break
        }
    }

    private mutating func handlerName(_ entry: Admitted) -> String? {
        guard let word = onlyValue(entry) else { return nil }
        let shown = Quotation.short(word.text)
        let isName = word.text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "_.-".utf8.contains(byte)
        }
        // The name becomes part of a file name inside the plugins folder and must never lead out of it.
        guard isName, !word.text.isEmpty, word.text.utf8.count <= 128, word.text.utf8.first != UInt8(ascii: ".") else {
            report.error(
                "\(shown) is no name of a handler (letters, digits, \"_\", \"-\" and \".\", at most 128)",
                at: word.range, notes: ["A handler is named, not its file: echo is found as echo.so or libecho.so."])
            return nil
        }
        guard !word.text.utf8.reversed().starts(with: ".so".utf8.reversed()) else {
            var bytes = Array(word.text.utf8.dropLast(3))
            if bytes.starts(with: "lib".utf8) { bytes.removeFirst(3) }
            let name = String(decoding: bytes, as: UTF8.self)
            report.error("\(shown) is the name of a file (write \"handler \(name)\")", at: word.range)
            return nil
        }
        return word.text
    }

    private mutating func routeSetting(
        _ entry: Admitted, _ keys: inout [String: SourceRange]
    ) -> RouteConfiguration.Setting? {
        let words = entry.statement.arguments
        guard words.count == 2, !words[0].text.isEmpty else {
            let place = words.count > 2 ? words[2].range : entry.statement.name.range
            report.error("\"set\" takes a key and a value (quote a value that has spaces)", at: place)
            return nil
        }
        if let first = keys[words[0].text] {
            reportDuplicate("key \(Quotation.short(words[0].text))", at: words[0].range, first: first)
            return nil
        }
        keys[words[0].text] = words[0].range
        return RouteConfiguration.Setting(key: words[0].text, value: words[1].text)
    }

    private mutating func subprotocols(_ entry: Admitted) -> [String] {
        var names: [String] = []
        if entry.statement.arguments.isEmpty {
            report.error("\"subprotocols\" needs \(entry.directive.expected)", at: entry.statement.name.range)
        }
        for word in entry.statement.arguments {
            let shown = Quotation.short(word.text)
            // RFC 6455 4.1: the elements are tokens as in RFC 2616, and they are unique.
            let isToken = word.text.utf8.allSatisfy { byte in
                byte > 0x20 && byte < 0x7F && !"()<>@,;:\\\"/[]?={}".utf8.contains(byte)
            }
            if !isToken || word.text.isEmpty {
                report.error(
                    "\(shown) is no name of a subprotocol (a token, without spaces or separators)", at: word.range)
            } else if names.contains(word.text) {
                report.error("duplicate subprotocol \(shown)", at: word.range)
            } else {
                names.append(word.text)
            }
        }
        return names
    }
}
