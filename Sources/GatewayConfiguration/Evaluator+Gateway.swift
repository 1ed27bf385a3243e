extension Evaluator {
    mutating func evaluateListen(_ entry: Admitted) {
        guard let word = entry.statement.arguments.first else {
            report.error("\"listen\" needs \(entry.directive.expected)", at: entry.statement.name.range)
            return
        }
        guard let form = listenerForm(entry.statement) else { return }
        do throws(ListenAddress.Failure) {
            let address = try ListenAddress(word.text, relativeTo: absoluteFolder(of: word.range.file))
            // Port 0 is a different port each time.
            if address.port != 0, let first = listenerRanges[address] {
                return reportDuplicate("listener \(Quotation.short(word.text))", at: word.range, first: first)
            }
            listenerRanges[address] = word.range
            let origin = report.location(of: entry.statement.name.range)
            var listener = ListenerConfiguration(address: address, origin: origin)
            var scope = Scope()
            scope.speaksHTTP2 = form == .tls
            if form == .tls {
                listener.tls = tls(entry.statement, &scope)
            } else {
                for inner in admit(entry.statement.block ?? [], in: .listen) { apply(inner, to: &scope) }
            }
            listener.takesProxyHeader = scope.takesProxyHeader
            (listener.speaksHTTP2, listener.maxStreams) = (scope.speaksHTTP2, scope.maxStreams)
            (listener.socketMode, listener.socketGroup) = (scope.socketMode, scope.socketGroup)
            if !address.isUnix, let range = scope.ranges["mode"] ?? scope.ranges["group"] {
                report.error("only unix sockets have a \"mode\" and a \"group\"", at: range)
            }
            listener.origins = scope.ranges.mapValues { report.location(of: $0) }
            configuration.listeners.append(listener)
        } catch {
            report.error("\(Quotation.short(word.text)) \(error.sentence)", at: word.range)
        }
    }

    private enum ListenerForm { case plain, tls }

    /// What stands behind the address; nil after a report.
    private mutating func listenerForm(_ statement: Statement) -> ListenerForm? {
        var rest = statement.arguments.dropFirst()
        let isTLS = rest.first?.text == "tls"
        if isTLS { rest = rest.dropFirst() }
        if let extra = rest.first {
            report.error(Self.objection(to: extra.text, isBehindTLS: isTLS), at: extra.range)
            return nil
        }
        if isTLS, statement.block == nil, let last = statement.arguments.last {
            report.error("\"tls\" needs a block in braces, with a certificate", at: last.range.after)
            return nil
        }
        return isTLS ? .tls : .plain
    }

    /// What is wrong with a word behind the address of a listener.
    private static func objection(to word: String, isBehindTLS: Bool) -> String {
        let example = "listen 8443 tls { certificate cert.pem key.pem; }"
        switch word {
        case "http2", "h2", "h2c":
            return isBehindTLS
                ? "\"http2\" is on with \"tls\"; \"http2 off;\" in the block switches it off"
                : "\"http2\" stands in the block: listen 8080 { http2 on; }"
        case "on" where isBehindTLS: return "\"tls\" takes a block, not \"on\" (write: \(example))"
        case "off" where isBehindTLS: return "\"tls\" cannot be off; leave it away for a listener without TLS"
        case "ssl", "https", "wss": return "\"\(word)\" is written \"tls\" here: \(example)"
        case "http", "ws": return "\"\(word)\" need not be said; a listener without \"tls\" is that"
        case "proxy_protocol": return "\"proxy_protocol\" stands in the block: listen 8081 { proxy_protocol on; }"
        default: return "unexpected \(Quotation.short(word)) behind the address"
        }
    }

    private mutating func tls(_ statement: Statement, _ scope: inout Scope) -> TLSConfiguration {
        var tls = TLSConfiguration()
        let admitted = admit(statement.block ?? [], in: .tls)
        for entry in admitted {
            scope.ranges[entry.directive.name] = entry.statement.name.range
            if case .special(.certificate) = entry.directive.setting {
                evaluateCertificate(entry, &tls)
            } else if case .special(.protocols) = entry.directive.setting {
                evaluateProtocols(entry, &tls)
            } else if case .special(.ciphers) = entry.directive.setting {
                evaluateCiphers(entry, &tls)
            } else if case .special(.clientAuthority) = entry.directive.setting {
                evaluateClientAuthority(entry, &tls)
            } else {
                apply(entry, to: &scope)
            }
        }
        tls.handshakeLimit = scope.handshakeLimit
        if !admitted.contains(where: { $0.directive.name == "certificate" }), !report.hasErrors {
            report.error(
                "there is no \"certificate\" in the block of \"tls\"", at: statement.name.range,
                notes: ["Add a line such as: certificate cert.pem key.pem;"])
        }
        return tls
    }

    private mutating func evaluateCertificate(_ entry: Admitted, _ tls: inout TLSConfiguration) {
        let words = entry.statement.arguments
        guard let file = words.first, !file.text.isEmpty else {
            report.error("\"certificate\" needs \(entry.directive.expected)", at: entry.statement.name.range)
            return
        }
        if let extra = words.dropFirst(2).first {
            report.error("unexpected \(Quotation.short(extra.text))", at: extra.range)
            return
        }
        tls.certificates.append(
            .init(
                file: absolute(file.text, in: file.range.file),
                keyFile: words.dropFirst().first.map { absolute($0.text, in: $0.range.file) },
                origin: report.location(of: file.range)))
    }

    private mutating func evaluateProtocols(_ entry: Admitted, _ tls: inout TLSConfiguration) {
        let words = entry.statement.arguments
        for word in words where TLSConfiguration.Version(rawValue: word.text) == nil { reportValue(word, entry) }
        tls.versions = TLSConfiguration.Version.allCases.filter { version in
            words.contains { $0.text == version.rawValue }
        }
        if words.isEmpty {
            report.error("\"protocols\" needs \(entry.directive.expected)", at: entry.statement.name.range)
        }
    }

    private mutating func evaluateCiphers(_ entry: Admitted, _ tls: inout TLSConfiguration) {
        guard let word = onlyValue(entry) else { return }
        if word.text.isEmpty { return reportValue(word, entry) }
        tls.ciphers = word.text
    }

    private mutating func evaluateClientAuthority(_ entry: Admitted, _ tls: inout TLSConfiguration) {
        let words = entry.statement.arguments
        guard words.count >= 2, !words[0].text.isEmpty else {
            report.error("\"client_ca\" needs \(entry.directive.expected)", at: entry.statement.name.range)
            return
        }
        if let extra = words.dropFirst(2).first {
            report.error("unexpected \(Quotation.short(extra.text))", at: extra.range)
            return
        }
        guard let demand = TLSConfiguration.ClientAuthority.Demand(rawValue: words[1].text) else {
            return reportValue(words[1], entry)
        }
        tls.clientAuthority = .init(
            file: absolute(words[0].text, in: words[0].range.file), demand: demand,
            origin: report.location(of: words[0].range))
    }

    mutating func evaluateTrustedProxies(_ entry: Admitted) {
        var scope = Scope()
        for inner in admit(entry.statement.block ?? [], in: .proxies) { apply(inner, to: &scope) }
        configuration.proxyTrust.proxies = prefixes(entry)
        configuration.proxyTrust.header = scope.proxyHeader
    }

    mutating func evaluateThreads(_ entry: Admitted) {
        guard let word = onlyValue(entry) else { return }
        if word.text == "auto" {
            configuration.threads = .automatic
        } else if let number = try? Unit.count(word.text), (1...256).contains(number) {
            configuration.threads = .count(Int(clamping: number))
        } else {
            reportValue(word, entry)
        }
    }

    mutating func evaluateBusyPoll(_ entry: Admitted) {
        guard let word = onlyValue(entry) else { return }
        if word.text == "off" {
            configuration.busyPollMicroseconds = nil
        } else if let duration = try? Unit.microseconds(word.text), (1...1_000_000).contains(duration) {
            configuration.busyPollMicroseconds = duration
        } else {
            reportValue(word, entry)
        }
    }

    mutating func evaluateMaxMemory(_ entry: Admitted) {
        guard let word = onlyValue(entry) else { return }
        if word.text == "off" {
            configuration.maxMemoryBytes = nil
        } else if let size = try? Unit.bytes(word.text), (1 << 20...1 << 40).contains(size) {
            configuration.maxMemoryBytes = Int(clamping: size)
        } else {
            reportValue(word, entry)
        }
    }

    mutating func evaluatePlugins(_ entry: Admitted) {
        var scope = Scope()
        for inner in admit(entry.statement.block ?? [], in: .plugins) { apply(inner, to: &scope) }
        configuration.pluginsWatch = scope.watches
        configuration.settleMilliseconds = scope.settleMilliseconds
        configuration.retain = scope.retain
        configuration.pluginsOrigins = scope.ranges.mapValues { report.location(of: $0) }
        guard let word = onlyValue(entry) else { return }
        guard !word.text.isEmpty else { return reportValue(word, entry) }
        configuration.pluginsFolder = absolute(word.text, in: word.range.file)
    }

    mutating func evaluateStateFolder(_ entry: Admitted) {
        guard let word = onlyValue(entry) else { return }
        guard !word.text.isEmpty, !word.text.utf8.contains(0) else { return reportValue(word, entry) }
        configuration.stateFolder = absolute(word.text, in: word.range.file)
    }

    mutating func evaluateMode(_ entry: Admitted) {
        guard let word = onlyValue(entry) else { return }
        guard let mode = Configuration.Mode(rawValue: word.text) else { return reportValue(word, entry) }
        configuration.mode = mode
    }

    mutating func evaluateConsole(_ entry: Admitted) {
        isConsoleSet = true
        guard let word = onlyValue(entry) else { return }
        if word.text == "off" {
            configuration.consolePath = nil
            return
        }
        do throws(RoutePattern.Failure) {
            let pattern = try RoutePattern(word.text)
            guard pattern.kind == .exact else { return reportValue(word, entry) }
            configuration.consolePath = pattern.description
        } catch {
            report.error("\(Quotation.short(word.text)) \(error.sentence)", at: word.range)
        }
    }

    /// Where the control socket is when no line says so; nil where a socket cannot have that path.
    mutating func standardControlPath(_ admitted: [Admitted]) -> String? {
        let path = absolute(Configuration.standardControlPath, in: 0)
        do throws(ListenAddress.Failure) {
            _ = try ListenAddress("unix:" + path)
            return path
        } catch {
            if !admitted.contains(where: { $0.directive.name == "control" }) {
                report.warning(
                    "there is no control socket: \(Quotation.short(path)) \(error.sentence)", file: configuration.file,
                    notes: ["Add a line such as: control unix:/run/gateway.sock;"])
            }
            return nil
        }
    }

    mutating func evaluateControl(_ entry: Admitted) {
        guard let word = onlyValue(entry) else { return }
        configuration.controlOrigin = report.location(of: entry.statement.name.range)
        if word.text == "off" {
            configuration.controlPath = nil
            return
        }
        guard word.text.utf8.starts(with: "unix:".utf8) else { return reportValue(word, entry) }
        do throws(ListenAddress.Failure) {
            let address = try ListenAddress(word.text, relativeTo: absoluteFolder(of: word.range.file))
            guard case .unix(let path) = address else { return reportValue(word, entry) }
            configuration.controlPath = path
            controlRange = word.range
        } catch {
            report.error("\(Quotation.short(word.text)) \(error.sentence)", at: word.range)
        }
    }

    mutating func evaluateAccessLog(_ entry: Admitted) {
        guard let (destination, words) = logArguments(entry, most: 1) else { return }
        guard let destination else { return configuration.accessLog = nil }
        var log = AccessLogConfiguration(destination: destination)
        for word in words {
            guard let form = LogForm(rawValue: word.text) else { return reportValue(word, entry) }
            log.form = form
        }
        configuration.accessLog = log
    }

    mutating func evaluateErrorLog(_ entry: Admitted) {
        guard let (destination, words) = logArguments(entry, most: 2) else { return }
        guard let destination else { return configuration.errorLog = nil }
        var log = ErrorLogConfiguration(destination: destination)
        var (hasLevel, hasForm) = (false, false)
        for word in words {
            if let form = LogForm(rawValue: word.text), !hasForm {
                (log.form, hasForm) = (form, true)
            } else if let level = Configuration.LogLevel(named: word.text), !hasLevel {
                (log.level, hasLevel) = (level, true)
            } else {
                return reportLevel(word)
            }
        }
        configuration.errorLog = log
    }

    private mutating func reportLevel(_ word: Word) {
        if LogForm(rawValue: word.text) != nil || Configuration.LogLevel(named: word.text) != nil {
            return report.error("unexpected \(Quotation.short(word.text))", at: word.range)
        }
        let levels = Configuration.LogLevel.allCases.map(\.rawValue)
        let hint = Suggestion.nearest(to: word.text, among: levels).map { " (did you mean \"\($0)\"?)" } ?? ""
        report.error(
            "\(Quotation.short(word.text)) is no level of \"error_log\"" + hint, at: word.range,
            notes: ["The levels are: \(levels.joined(separator: ", "))."])
    }

    /// Where a log goes, nil for `off`, and the words behind that; nil after a report.
    private mutating func logArguments(_ entry: Admitted, most: Int) -> (LogDestination?, ArraySlice<Word>)? {
        let words = entry.statement.arguments
        let name = entry.directive.name
        guard let target = words.first else {
            report.error("\"\(name)\" needs \(entry.directive.expected)", at: entry.statement.name.range)
            return nil
        }
        // `access_log json` asks for no file of that name.
        if LogForm(rawValue: target.text) != nil || Configuration.LogLevel(named: target.text) != nil {
            let text = Quotation.short(target.text)
            report.error(
                "\"\(name)\" begins with where it goes: stderr or a file, then \(text)", at: target.range,
                notes: ["A file of that name is written \"./\(target.text)\"."])
            return nil
        }
        let isOff = target.text == "off"
        if let extra = words.dropFirst(isOff ? 1 : 1 + most).first {
            report.error("unexpected \(Quotation.short(extra.text))", at: extra.range)
            return nil
        }
        if isOff { return (nil, []) }
        if target.text == "stderr" { return (.standardError, words.dropFirst()) }
        return (.file(absolute(target.text, in: target.range.file)), words.dropFirst())
    }

    /// Says that a value is none of those a directive takes.
    mutating func reportValue(_ word: Word, _ entry: Admitted) {
        let name = Quotation.short(entry.directive.name)
        report.error("\(name) takes \(entry.directive.expected), not \(Quotation.short(word.text))", at: word.range)
    }
}
