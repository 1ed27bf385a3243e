extension Configuration {
    /// The whole configuration in the language it is read from, with every value in effect.
    ///
    /// Reading it again gives the same values; the comments say what is not set in the file and what comes from
    /// `defaults`.
    package func effectiveText() -> String {
        var printer = ConfigurationPrinter()
        printer.print(self)
        return printer.text
    }
}

private struct ConfigurationPrinter {
    var text = ""

    mutating func print(_ configuration: Configuration) {
        text += "# effective configuration of \(Quotation.short(configuration.file))\n"
        for directive in Directive.table where directive.places.contains(.top) {
            switch directive.setting {
            case .special(let special): printTop(special, directive.name, configuration)
            case .fixed(let value): line(directive.name, value, note: unsaid(directive.name, configuration))
            case .bytes, .count, .countOrOff, .time, .timeOrOff, .flag, .policy, .slowConsumer, .dispatch: break
            case .logLevel: break
            case .compression, .origin, .addresses, .rate, .forwarding, .fileMode, .name, .probation, .later: break
            }
        }
    }

    private mutating func printTop(_ special: Setting.Special, _ name: String, _ configuration: Configuration) {
        let unsaid = unsaid(name, configuration)
        switch special {
        case .listen:
            for listener in configuration.listeners { printListener(name, listener) }
        case .trustedProxies:
            printProxies(name, configuration.proxyTrust)
        case .user:
            if let user = configuration.user { line(name, Quotation.ifNeeded(user)) }
        case .threads:
            line(name, Self.text(of: configuration.threads), note: unsaid)
        case .busyPoll:
            let value = configuration.busyPollMicroseconds.map { Unit.text(microseconds: $0) } ?? "off"
            line(name, value, note: unsaid)
        case .maxMemory:
            let value = configuration.maxMemoryBytes.map { Unit.text(bytes: Int64(clamping: $0)) } ?? "off"
            line(name, value, note: unsaid)
        case .plugins:
            printPlugins(name, configuration)
        case .stateFolder:
            if let folder = configuration.stateFolder { line(name, Quotation.ifNeeded(folder)) }
        case .mode:
            line(name, configuration.mode.rawValue, note: unsaid)
        case .console:
            let value = configuration.consolePath.map { Quotation.ifNeeded($0) } ?? "off"
            line(name, value, note: unsaid)
        case .control:
            let value = configuration.controlPath.map { Quotation.ifNeeded("unix:" + $0) } ?? "off"
            line(name, value)
        case .accessLog:
            let value = configuration.accessLog?.text ?? "off"
            line(name, value, note: unsaid)
        case .errorLog:
            let value = configuration.errorLog?.text ?? "off"
            line(name, value, note: unsaid)
        case .admin:
            printAdmin(name, configuration.admin, note: unsaid)
        case .defaults:
            printDefaults(configuration)
        case .route:
            printRoutes(configuration)
        case .host, .include, .handler, .set, .subprotocols, .certificate, .protocols, .ciphers, .clientAuthority,
            .tokenFile, .adminHosts:
            break
        }
    }

    private mutating func printAdmin(_ name: String, _ admin: AdminConfiguration?, note: String?) {
        guard let admin else { return line(name, "off", note: note) }
        let address = Quotation.ifNeeded(admin.address.description)
        var inner: [String] = []
        if let file = admin.tokenFile { inner.append("token_file \(Quotation.ifNeeded(file));") }
        if !admin.hosts.isEmpty {
            inner.append("hosts \(admin.hosts.map { Quotation.ifNeeded($0) }.joined(separator: " "));")
        }
        line(name, inner.isEmpty ? address : "\(address) { \(inner.joined(separator: " ")) }")
    }

    private mutating func printListener(_ name: String, _ listener: ListenerConfiguration) {
        let address = Quotation.ifNeeded(listener.address.description)
        var scope = Scope()
        scope.takesProxyHeader = listener.takesProxyHeader
        scope.socketMode = listener.socketMode
        scope.socketGroup = listener.socketGroup
        // What is there at all was set, but for what is off unless it is.
        var set = ["mode": listener.origin, "group": listener.origin]
        if scope.takesProxyHeader { set["proxy_protocol"] = listener.origin }
        guard let tls = listener.tls else {
            if scope.takesProxyHeader || scope.socketMode != nil || scope.socketGroup != nil {
                text += "\(name) \(address) {\n"
                printScope(scope, in: .listen, set: set)
                text += "}\n"
            } else {
                line(name, address)
            }
            return
        }
        text += "\(name) \(address) tls {\n"
        for certificate in tls.certificates {
            let files = [certificate.file, certificate.keyFile].compactMap { $0.map { Quotation.ifNeeded($0) } }
            line("certificate", files.joined(separator: " "), indent: "    ")
        }
        line("protocols", tls.versions.map(\.rawValue).joined(separator: " "), indent: "    ")
        if let ciphers = tls.ciphers { line("ciphers", Quotation.full(ciphers), indent: "    ") }
        if let authority = tls.clientAuthority {
            let file = Quotation.ifNeeded(authority.file)
            line("client_ca", "\(file) \(authority.demand.rawValue)", indent: "    ")
        }
        if tls.handshakeLimit != scope.handshakeLimit { set["handshake_limit"] = listener.origin }
        scope.handshakeLimit = tls.handshakeLimit
        printScope(scope, in: .tls, set: set)
        text += "}\n"
    }

    private mutating func printProxies(_ name: String, _ trust: ProxyTrust) {
        if trust.proxies.isEmpty { return }
        let proxies = trust.proxies.map(\.description).joined(separator: " ")
        line(name, "\(proxies) { header \(trust.header.rawValue); }")
    }

    /// The comment on a directive that the file does not have.
    private func unsaid(_ name: String, _ configuration: Configuration) -> String? {
        configuration.origins[name] == nil ? "default" : nil
    }

    private mutating func printPlugins(_ name: String, _ configuration: Configuration) {
        var scope = Scope()
        scope.watches = configuration.pluginsWatch
        scope.settleMilliseconds = configuration.settleMilliseconds
        scope.retain = configuration.retain
        text += "\(name) \(Quotation.ifNeeded(configuration.pluginsFolder)) {\n"
        printScope(scope, in: .plugins, set: configuration.pluginsOrigins)
        text += "}\n"
    }

    private mutating func printDefaults(_ configuration: Configuration) {
        var scope = Scope()
        scope.limits = configuration.limits
        scope.handshake = configuration.handshake
        scope.maxConnections = configuration.maxConnections
        scope.admission = configuration.admission
        text += "\ndefaults {\n"
        printScope(scope, in: .defaults, set: configuration.limitOrigins)
        text += "}\n"
    }

    /// In the order of the file, in which the console shows them.
    private mutating func printRoutes(_ configuration: Configuration) {
        var block: HostPattern?
        for route in configuration.routes {
            if route.host != block {
                if block != nil { text += "}\n" }
                if let host = route.host { text += "\nhost \(host) {" }
                block = route.host
            }
            printRoute(route, configuration)
        }
        if block != nil { text += "}\n" }
    }

    private mutating func printRoute(_ route: RouteConfiguration, _ configuration: Configuration) {
        var scope = Scope()
        scope.limits = route.limits
        scope.routeConnections = route.maxConnections
        scope.admission = route.admission
        text += "\n# \(Quotation.short(route.origin.description))\n"
        text += "route \(Quotation.ifNeeded(route.pattern.description)) {\n"
        line("handler", route.handler, indent: "    ")
        if !route.subprotocols.isEmpty {
            let names = route.subprotocols.map { Quotation.ifNeeded($0) }
            line("subprotocols", names.joined(separator: " "), indent: "    ")
        }
        for setting in route.settings {
            let value = Quotation.full(setting.value)
            line("set", "\(Quotation.ifNeeded(setting.key)) \(value)", indent: "    ")
        }
        printScope(scope, in: .route, set: route.limitOrigins, above: configuration.limitOrigins)
        text += "}\n"
    }

    /// `set` and `above` are where the block, and the one it inherits from, say something.
    private mutating func printScope(
        _ scope: Scope, in place: Place, set: [String: SourceLocation], above: [String: SourceLocation] = [:]
    ) {
        for directive in Directive.table where directive.places.contains(place) {
            for (name, value) in directive.texts(in: scope) {
                let isInherited = directive.places.contains(.defaults) && above[name] != nil
                let note = isInherited ? "from defaults" : "default"
                line(name, value, note: set[name] == nil ? note : nil, indent: "    ")
            }
        }
    }

    private mutating func line(_ name: String, _ value: String, note: String? = nil, indent: String = "") {
        // What ends in a block needs no semicolon.
        let statement = "\(indent)\(name) \(value)" + (value.hasSuffix("}") ? "" : ";")
        text += statement
        if let note {
            text += String(repeating: " ", count: max(1, 40 - statement.unicodeScalars.count)) + "# " + note
        }
        text += "\n"
    }

    private static func text(of threads: Configuration.Threads) -> String {
        switch threads {
        case .automatic: "auto"
        case .count(let number): String(number)
        }
    }
}
