extension Configuration {
    /// The whole configuration in the language it is read from, with every value in effect.
    ///
    /// Reading it again gives the same values; the comments say what is the default and what comes from `defaults`.
    package func effectiveText() -> String {
        var printer = ConfigurationPrinter()
        printer.print(self)
        return printer.text
    }
}

/// Writes a configuration as text.
private struct ConfigurationPrinter {
    var text = ""

    mutating func print(_ configuration: Configuration) {
        text += "# effective configuration of \(Quotation.short(configuration.file))\n"
        for directive in Directive.table where directive.places.contains(.top) {
            switch directive.setting {
            case .special(let special): printTop(special, directive.name, configuration)
            case .fixed(let value): line(directive.name, value, note: "default")
            case .octets, .count, .countOrOff, .time, .timeOrOff, .flag, .policy, .dispatch, .probation, .later: break
            }
        }
    }

    private mutating func printTop(_ special: Setting.Special, _ name: String, _ configuration: Configuration) {
        let standard = Configuration(file: configuration.file)
        switch special {
        case .listen:
            for listener in configuration.listeners {
                line(name, Quotation.ifNeeded(listener.address.description))
            }
        case .threads:
            let isDefault = configuration.threads == standard.threads
            line(name, Self.text(of: configuration.threads), note: isDefault ? "default" : nil)
        case .busyPoll:
            let isDefault = configuration.busyPollMicroseconds == standard.busyPollMicroseconds
            let value = configuration.busyPollMicroseconds.map { Unit.text(microseconds: $0) } ?? "off"
            line(name, value, note: isDefault ? "default" : nil)
        case .plugins:
            printPlugins(name, configuration)
        case .mode:
            let isDefault = configuration.mode == standard.mode
            line(name, configuration.mode.rawValue, note: isDefault ? "default" : nil)
        case .console:
            let isDefault = configuration.consolePath == (configuration.mode == .development ? "/" : nil)
            let value = configuration.consolePath.map { Quotation.ifNeeded($0) } ?? "off"
            line(name, value, note: isDefault ? "default" : nil)
        case .control:
            let value = configuration.controlPath.map { Quotation.ifNeeded("unix:" + $0) } ?? "off"
            line(name, value)
        case .accessLog:
            let isDefault = configuration.accessLog == standard.accessLog
            let value = configuration.accessLog.map { "stderr " + $0.rawValue } ?? "off"
            line(name, value, note: isDefault ? "default" : nil)
        case .errorLog:
            let isDefault = configuration.errorLog == standard.errorLog
            let value = configuration.errorLog.map { "stderr " + $0.rawValue } ?? "off"
            line(name, value, note: isDefault ? "default" : nil)
        case .defaults:
            printDefaults(configuration)
        case .route:
            for route in configuration.routes { printRoute(route, configuration) }
        case .include, .handler, .set, .subprotocols:
            break
        }
    }

    private mutating func printPlugins(_ name: String, _ configuration: Configuration) {
        var scope = Scope()
        scope.watches = configuration.pluginsWatch
        scope.settleMilliseconds = configuration.settleMilliseconds
        scope.retain = configuration.retain
        text += "\(name) \(Quotation.ifNeeded(configuration.pluginsFolder)) {\n"
        printScope(scope, in: .plugins, below: nil)
        text += "}\n"
    }

    private mutating func printDefaults(_ configuration: Configuration) {
        var scope = Scope()
        scope.limits = configuration.limits
        scope.handshake = configuration.handshake
        scope.maxConnections = configuration.maxConnections
        text += "\ndefaults {\n"
        printScope(scope, in: .defaults, below: nil)
        text += "}\n"
    }

    private mutating func printRoute(_ route: RouteConfiguration, _ configuration: Configuration) {
        var scope = Scope()
        scope.limits = route.limits
        scope.routeConnections = route.maxConnections
        var above = Scope()
        above.limits = configuration.limits
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
        printScope(scope, in: .route, below: above)
        text += "}\n"
    }

    private mutating func printScope(_ scope: Scope, in place: Place, below above: Scope?) {
        var standard = Scope()
        // These two follow another limit when nobody sets them.
        standard.limits.maxFrameOctets = scope.limits.maxMessageOctets
        if scope.limits.pingIntervalMilliseconds == nil { standard.limits.pongTimeoutMilliseconds = nil }
        for directive in Directive.table where directive.places.contains(place) {
            guard let value = directive.text(in: scope) else { continue }
            var note: String?
            if value == directive.text(in: standard) {
                note = "default"
            } else if let above, value == directive.text(in: above) {
                note = "from defaults"
            }
            line(directive.name, value, note: note, indent: "    ")
        }
    }

    private mutating func line(_ name: String, _ value: String, note: String? = nil, indent: String = "") {
        let statement = "\(indent)\(name) \(value);"
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
