/// Turns statements into a configuration; everything that is wrong is collected, so that one run shows it all.
struct Evaluator {
    /// A statement whose name, place and shape are right.
    struct Admitted {
        let statement: Statement
        let directive: Directive
    }

    var report: Report
    var configuration: Configuration
    /// Where each listener and each shape of a route was first written.
    var listenerRanges: [ListenAddress: SourceRange] = [:]
    var routeRanges: [String: SourceRange] = [:]
    /// What the first route of each handler says of `isolation`, and where.
    var isolations: [String: (mode: Isolation.Mode, range: SourceRange)] = [:]
    /// Where each host was written.
    var hostRanges: [HostPattern: SourceRange] = [:]
    /// The values of `defaults`, before they are settled, and what it mentioned.
    var defaults = Scope()
    /// Where the path of the control socket stands.
    var controlRange: SourceRange?
    /// Where the address of `admin` stands.
    var adminRange: SourceRange?
    /// `console` was written, so `mode` no longer decides.
    var isConsoleSet = false
    /// What relative paths start from when the folder of a file is relative itself.
    let workingFolder = FileReader.workingFolder()

    private init(file: String, report: Report) {
        configuration = Configuration(file: file)
        self.report = report
    }

    /// The configuration the statements describe, or everything that is wrong with them.
    static func evaluate(
        _ statements: [Statement], file: String, report: Report
    ) throws(ConfigurationError) -> LoadedConfiguration {
        var evaluator = Evaluator(file: file, report: report)
        evaluator.evaluateTop(statements)
        if evaluator.report.hasErrors { throw evaluator.report.failure }
        return LoadedConfiguration(
            configuration: evaluator.configuration, warnings: evaluator.report.sortedWarnings)
    }

    /// The control socket the statements name, whatever else is wrong with them.
    static func controlPath(_ statements: [Statement], file: String, report: Report) -> String? {
        // What is wrong so far must not keep the line about the socket from being seen.
        var evaluator = Evaluator(file: file, report: report.withoutFindings)
        evaluator.evaluateTop(statements.filter { $0.name.text == "control" })
        return evaluator.configuration.controlPath
    }

    private mutating func evaluateTop(_ statements: [Statement]) {
        let admitted = admit(statements, in: .top)
        configuration.pluginsFolder = absolute(configuration.pluginsFolder, in: 0)
        configuration.controlPath = standardControlPath(admitted)
        // Routes inherit from `defaults` wherever it stands, so it goes first.
        for entry in admitted where entry.directive.name == "defaults" { evaluateDefaults(entry.statement) }
        for entry in admitted { evaluate(entry) }
        for entry in admitted where !entry.directive.isRepeatable {
            configuration.origins[entry.directive.name] = report.location(of: entry.statement.name.range)
        }
        if !isConsoleSet { configuration.consolePath = configuration.mode == .development ? "/" : nil }
        var scope = defaults
        settle(&scope, inheritsFrame: false)
        configuration.limits = scope.limits
        configuration.handshake = scope.handshake
        configuration.maxConnections = scope.maxConnections
        configuration.admission = scope.admission
        configuration.limitOrigins = scope.ranges.mapValues { report.location(of: $0) }
        checkWhole(admitted)
    }

    private mutating func checkWhole(_ admitted: [Admitted]) {
        // What is missing may be the very line that was just found wrong.
        if report.hasErrors { return }
        if let path = configuration.controlPath, let range = controlRange,
            let first = listenerRanges[.unix(path: path)]
        {
            reportDuplicate("socket \(Quotation.short(path))", at: range, first: first)
        }
        if configuration.proxyTrust.proxies.isEmpty,
            let listener = configuration.listeners.first(where: \.takesProxyHeader)
        {
            report.error(
                "\"proxy_protocol\" without \"trusted_proxies\": nobody could connect to \(listener.address)",
                file: configuration.file, notes: ["Add a line such as: trusted_proxies 127.0.0.1;"])
        }
        if let admin = configuration.admin, let range = adminRange, admin.address.port != 0,
            let first = listenerRanges[admin.address]
        {
            reportDuplicate("listener \(Quotation.short(admin.address.description))", at: range, first: first)
        }
        if !admitted.contains(where: { $0.directive.name == "listen" }) {
            report.error(
                "there is no \"listen\", so nobody could connect", file: configuration.file,
                notes: ["Add a line such as: listen 8080;"])
        }
        checkTopicNames()
        if configuration.routes.isEmpty, configuration.consolePath == nil {
            report.warning(
                "there is no \"route\", so every request is answered 404", file: configuration.file,
                notes: ["Add a block such as: route /echo { handler echo; }"])
        }
    }

    private mutating func evaluate(_ entry: Admitted) {
        guard case .special(let special) = entry.directive.setting else {
            // At the top level there are no plain values, only those that say what happens today.
            var unused = Scope()
            return apply(entry, to: &unused)
        }
        switch special {
        case .listen: evaluateListen(entry)
        case .trustedProxies: evaluateTrustedProxies(entry)
        case .user: configuration.user = systemName(entry)
        case .threads: evaluateThreads(entry)
        case .busyPoll: evaluateBusyPoll(entry)
        case .maxMemory: evaluateMaxMemory(entry)
        case .plugins: evaluatePlugins(entry)
        case .stateFolder: evaluateStateFolder(entry)
        case .mode: evaluateMode(entry)
        case .console: evaluateConsole(entry)
        case .control: evaluateControl(entry)
        case .accessLog: evaluateAccessLog(entry)
        case .errorLog: evaluateErrorLog(entry)
        case .admin: evaluateAdmin(entry)
        case .cluster: evaluateCluster(entry)
        case .host: evaluateHost(entry)
        case .route: evaluateRoute(entry, in: nil)
        case .defaults, .include, .handler, .set, .subprotocols, .certificate, .protocols, .ciphers, .clientAuthority,
            .tokenFile, .adminHosts, .passwordFile:
            break
        }
    }

    private mutating func evaluateDefaults(_ statement: Statement) {
        if let extra = statement.arguments.first {
            report.error("\"defaults\" takes no value, only a block", at: extra.range)
        }
        var scope = Scope()
        for entry in admit(statement.block ?? [], in: .defaults) { apply(entry, to: &scope) }
        defaults = scope
    }
}

extension Evaluator {
    /// The statements that may stand in a block, each with its row; the others are reported.
    mutating func admit(_ statements: [Statement], in place: Place) -> [Admitted] {
        var admitted: [Admitted] = []
        var first: [String: SourceRange] = [:]
        for statement in statements where !report.isFull {
            guard let directive = directive(of: statement, in: place) else { continue }
            if !directive.isRepeatable {
                if let range = first[directive.name] {
                    reportDuplicate(Quotation.short(directive.name), at: statement.name.range, first: range)
                    continue
                }
                first[directive.name] = statement.name.range
            }
            if hasRightBlock(statement, directive) {
                admitted.append(Admitted(statement: statement, directive: directive))
            }
        }
        return admitted
    }

    /// Says that something was said before, and where.
    mutating func reportDuplicate(_ what: String, at range: SourceRange, first: SourceRange) {
        report.error("duplicate \(what) (first set at \(report.location(of: first)))", at: range)
    }

    private mutating func directive(of statement: Statement, in place: Place) -> Directive? {
        let name = statement.name.text
        let shown = Quotation.short(name)
        guard !statement.name.isValue else {
            let way = statement.name.isQuoted ? "stand in quotes" : "come from the environment"
            report.error("the name of a directive does not \(way)", at: statement.name.range)
            return nil
        }
        guard let rows = Directive.rows[name] else {
            let legal = Directive.table.filter { $0.places.contains(place) }.map(\.name)
            let familiar = FamiliarDirective.known[name]
            let near = familiar == nil ? Suggestion.nearest(to: name, among: legal) : nil
            let hint = near.map { " (did you mean \"\($0)\"?)" } ?? ""
            report.error(
                "unknown directive \(shown)" + hint, at: statement.name.range, notes: familiar.map { [$0] } ?? [])
            return nil
        }
        guard let row = rows.first(where: { $0.places.contains(place) }) else {
            let places = rows.reduce(into: Place()) { $0.formUnion($1.places) }
            var notes: [String] = []
            if place == .route, places == .defaults {
                notes = ["It acts before the route of a request is known."]
            }
            report.error(
                "\(shown) is not allowed \(place.phrase), only \(places.phrase)", at: statement.name.range,
                notes: notes)
            return nil
        }
        return row
    }

    private mutating func hasRightBlock(_ statement: Statement, _ directive: Directive) -> Bool {
        let name = Quotation.short(directive.name)
        switch directive.block {
        case .optional:
            return true
        case .required:
            guard statement.block == nil else { return true }
            let place = (statement.arguments.last ?? statement.name).range.after
            report.error("\(name) needs a block in braces", at: place)
            return false
        case .never:
            guard let brace = statement.brace else { return true }
            report.error("\(name) does not take a block", at: brace)
            return false
        }
    }
}
