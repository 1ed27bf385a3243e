extension Configuration {
    /// The whole configuration in the language it is read from, with every value in effect.
    ///
    /// Reading it again gives the same values; the comments say where each comes from: the line that sets it, in the
    /// route or in `defaults`, with its environment variables, or nowhere, so that it is the built-in default.
    ///
    /// - Parameter tellsSecrets: passwords in URLs are there as well: for a process of this gateway, and for nobody else.
    package func effectiveText(tellsSecrets: Bool = false) -> String {
        var printer = ConfigurationPrinter()
        printer.tellsSecrets = tellsSecrets
        printer.print(self)
        return printer.text
    }
}

private struct ConfigurationPrinter {
    var text = ""
    var tellsSecrets = false

    mutating func print(_ configuration: Configuration) {
        text += "# effective configuration of \(Quotation.short(configuration.file))\n"
        for directive in Directive.table where directive.places.contains(.top) {
            switch directive.setting {
            case .special(let special): printTop(special, directive.name, configuration)
            case .bytes, .count, .countOrOff, .time, .timeOrOff, .flag, .policy, .slowConsumer, .dispatch, .topics:
                break
            case .logLevel: break
            case .compression, .origin, .addresses, .rate, .forwarding, .fileMode, .name, .probation: break
            case .isolation, .checkpoint, .crash, .recycling: break
            }
        }
    }

    private mutating func printTop(_ special: Setting.Special, _ name: String, _ configuration: Configuration) {
        let origin = configuration.origins[name]
        switch special {
        case .listen:
            for listener in configuration.listeners { printListener(name, listener) }
        case .trustedProxies:
            printProxies(name, configuration.proxyTrust, from: origin)
        case .user:
            if let user = configuration.user { line(name, Quotation.ifNeeded(user), from: origin) }
        case .threads:
            line(name, Self.text(of: configuration.threads), from: origin)
        case .busyPoll:
            let value = configuration.busyPollMicroseconds.map { Unit.text(microseconds: $0) } ?? "off"
            line(name, value, from: origin)
        case .maxMemory:
            let value = configuration.maxMemoryBytes.map { Unit.text(bytes: Int64(clamping: $0)) } ?? "off"
            line(name, value, from: origin)
        case .plugins:
            printPlugins(name, configuration)
        case .stateFolder:
            if let folder = configuration.stateFolder { line(name, Quotation.ifNeeded(folder), from: origin) }
        case .mode:
            line(name, configuration.mode.rawValue, from: origin)
        case .console:
            let value = configuration.consolePath.map { Quotation.ifNeeded($0) } ?? "off"
            line(name, value, from: origin)
        case .control:
            let value = configuration.controlPath.map { Quotation.ifNeeded("unix:" + $0) } ?? "off"
            line(name, value, from: origin)
        case .accessLog:
            let value = configuration.accessLog?.text ?? "off"
            line(name, value, from: origin)
        case .errorLog:
            let value = configuration.errorLog?.text ?? "off"
            line(name, value, from: origin)
        case .admin:
            printAdmin(name, configuration.admin, from: origin)
        case .cluster:
            printCluster(name, configuration.cluster, from: origin)
        case .defaults:
            printDefaults(configuration)
        case .route:
            printRoutes(configuration)
        case .host, .include, .handler, .set, .subprotocols, .certificate, .protocols, .ciphers, .clientAuthority,
            .tokenFile, .adminHosts, .passwordFile:
            break
        }
    }

    private mutating func printCluster(_ name: String, _ cluster: ClusterConfiguration?, from origin: SourceLocation?) {
        guard let cluster else { return line(name, "off", from: origin) }
        let urls = cluster.urls.map { Quotation.ifNeeded(tellsSecrets ? $0 : URLSecret.shortened($0)) }
            .joined(separator: " ")
        var inner: [String] = []
        if let name = cluster.name { inner.append("name \(Quotation.ifNeeded(name));") }
        inner.append("prefix \(Quotation.ifNeeded(cluster.prefix));")
        if let user = cluster.user { inner.append("user \(Quotation.ifNeeded(user));") }
        if let file = cluster.passwordFile { inner.append("password_file \(Quotation.ifNeeded(file));") }
        inner.append("queue \(Unit.text(bytes: Int64(clamping: cluster.queueBytes)));")
        inner.append("probe \(Unit.text(milliseconds: cluster.probeMilliseconds));")
        line(name, "\(urls) { \(inner.joined(separator: " ")) }", from: origin)
    }

    private mutating func printAdmin(_ name: String, _ admin: AdminConfiguration?, from origin: SourceLocation?) {
        guard let admin else { return line(name, "off", from: origin) }
        let address = Quotation.ifNeeded(admin.address.description)
        var inner: [String] = []
        if let file = admin.tokenFile { inner.append("token_file \(Quotation.ifNeeded(file));") }
        if !admin.hosts.isEmpty {
            inner.append("hosts \(admin.hosts.map { Quotation.ifNeeded($0) }.joined(separator: " "));")
        }
        line(name, inner.isEmpty ? address : "\(address) { \(inner.joined(separator: " ")) }", from: origin)
    }

    private mutating func printListener(_ name: String, _ listener: ListenerConfiguration) {
        let address = Quotation.ifNeeded(listener.address.description)
        var scope = Scope()
        scope.takesProxyHeader = listener.takesProxyHeader
        scope.socketMode = listener.socketMode
        scope.socketGroup = listener.socketGroup
        (scope.speaksHTTP2, scope.maxStreams) = (listener.speaksHTTP2, listener.maxStreams)
        let origins = listener.origins
        guard let tls = listener.tls else {
            let isSpecial = scope.takesProxyHeader || scope.speaksHTTP2 || scope.maxStreams != Scope().maxStreams
            if isSpecial || scope.socketMode != nil || scope.socketGroup != nil {
                opening("\(name) \(address)", from: listener.origin)
                printScope(scope, in: .listen, set: origins)
                text += "}\n"
            } else {
                line(name, address, from: listener.origin)
            }
            return
        }
        opening("\(name) \(address) tls", from: listener.origin)
        for certificate in tls.certificates {
            let files = [certificate.file, certificate.keyFile].compactMap { $0.map { Quotation.ifNeeded($0) } }
            line("certificate", files.joined(separator: " "), from: certificate.origin, indent: "    ")
        }
        let versions = tls.versions.map(\.rawValue).joined(separator: " ")
        line("protocols", versions, from: origins["protocols"], indent: "    ")
        if let ciphers = tls.ciphers {
            line("ciphers", Quotation.full(ciphers), from: origins["ciphers"], indent: "    ")
        }
        if let authority = tls.clientAuthority {
            let file = Quotation.ifNeeded(authority.file)
            line("client_ca", "\(file) \(authority.demand.rawValue)", from: authority.origin, indent: "    ")
        }
        scope.handshakeLimit = tls.handshakeLimit
        printScope(scope, in: .tls, set: origins)
        text += "}\n"
    }

    private mutating func printProxies(_ name: String, _ trust: ProxyTrust, from origin: SourceLocation?) {
        if trust.proxies.isEmpty { return }
        let proxies = trust.proxies.map(\.description).joined(separator: " ")
        line(name, "\(proxies) { header \(trust.header.rawValue); }", from: origin)
    }

    private mutating func printPlugins(_ name: String, _ configuration: Configuration) {
        var scope = Scope()
        scope.watches = configuration.pluginsWatch
        scope.settleMilliseconds = configuration.settleMilliseconds
        scope.retain = configuration.retain
        opening("\(name) \(Quotation.ifNeeded(configuration.pluginsFolder))", from: configuration.origins[name])
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
        let origins = route.limitOrigins
        text += "\n"
        opening("route \(Quotation.ifNeeded(route.pattern.description))", from: route.origin)
        line("handler", route.handler, from: origins["handler"], indent: "    ")
        if !route.subprotocols.isEmpty {
            let names = route.subprotocols.map { Quotation.ifNeeded($0) }
            line("subprotocols", names.joined(separator: " "), from: origins["subprotocols"], indent: "    ")
        }
        for setting in route.settings {
            let value = "\(Quotation.ifNeeded(setting.key)) \(Quotation.full(setting.value))"
            line("set", value, from: origins["set \(setting.key)"], indent: "    ")
        }
        printScope(scope, in: .route, set: route.limitOrigins, above: configuration.limitOrigins)
        text += "}\n"
    }

    /// `set` and `above` are where the block, and the one it inherits from, say something.
    private mutating func printScope(
        _ scope: Scope, in place: Place, set: [String: SourceLocation], above: [String: SourceLocation] = [:]
    ) {
        for directive in Directive.table where directive.places.contains(place) {
            if place == .route, !directive.isInEffect(at: scope.limits) { continue }
            for (name, value) in directive.texts(in: scope) {
                let inherited = directive.places.contains(.defaults) ? above[name] : nil
                let note = set[name] == nil ? inherited.map { "\($0.detail), defaults" } : nil
                line(name, value, from: set[name], note: note, indent: "    ")
            }
        }
    }

    /// The first line of a block.
    private mutating func opening(_ statement: String, from origin: SourceLocation?) {
        text += commented("\(statement) {", origin?.detail ?? "default")
    }

    /// - Parameter note: where the value comes from if not from `origin`; without either it is the default.
    private mutating func line(
        _ name: String, _ value: String, from origin: SourceLocation?, note: String? = nil, indent: String = ""
    ) {
        // What ends in a block needs no semicolon.
        let statement = "\(indent)\(name) \(value)" + (value.hasSuffix("}") ? "" : ";")
        text += commented(statement, origin?.detail ?? note ?? "default")
    }

    private func commented(_ statement: String, _ note: String) -> String {
        let gap = String(repeating: " ", count: max(1, 40 - statement.unicodeScalars.count))
        return statement + gap + "# " + Quotation.visible(note) + "\n"
    }

    private static func text(of threads: Configuration.Threads) -> String {
        switch threads {
        case .automatic: "auto"
        case .count(let number): String(number)
        }
    }
}
