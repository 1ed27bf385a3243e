extension Evaluator {
    /// Writes a plain value to its place in a block.
    mutating func apply(_ entry: Admitted, to scope: inout Scope) {
        // A block that says anything of addresses says all of it.
        if case .addresses = entry.directive.setting, scope.ranges["allow"] == nil, scope.ranges["deny"] == nil {
            scope.limits.addresses.rules = []
        }
        scope.ranges[entry.directive.name] = entry.statement.name.range
        switch entry.directive.setting {
        case .bytes, .count, .countOrOff, .time, .timeOrOff: applyNumber(entry, to: &scope)
        case .flag(let path):
            if let isOn = choice(entry, ["on": true, "off": false]) { scope[keyPath: path] = isOn }
        case .policy(let path):
            if let policy = choice(entry, among: Limits.ReloadPolicy.self) { scope[keyPath: path] = policy }
        case .slowConsumer(let path):
            if let action = choice(entry, among: Limits.SlowConsumer.self) { scope[keyPath: path] = action }
        case .logLevel(let path):
            if let level = choice(entry, Configuration.LogLevel.byName) { scope[keyPath: path] = level }
        case .isolation, .checkpoint, .crash, .recycling: applyIsolation(entry, to: &scope)
        case .topics(let path):
            if let topics = choice(entry, among: Limits.Topics.self) { scope[keyPath: path] = topics }
        case .dispatch(let path):
            if let dispatch = choice(entry, among: Limits.Dispatch.self) { scope[keyPath: path] = dispatch }
        case .compression:
            if let mode = choice(entry, among: Limits.Compression.Mode.self) { scope.limits.compression.mode = mode }
            for inner in admit(entry.statement.block ?? [], in: .compression) { apply(inner, to: &scope) }
        case .fileMode(let path):
            if let mode = fileMode(entry) { scope[keyPath: path] = mode }
        case .name(let path):
            if let name = systemName(entry) { scope[keyPath: path] = name }
        case .forwarding:
            let known = ProxyTrust.Header.allCases.map { ($0.rawValue, $0) }
            if let header = choice(entry, Dictionary(uniqueKeysWithValues: known)) { scope.proxyHeader = header }
        case .rate:
            if isOff(entry) {
                scope.admission.handshakeRate = nil
            } else if let rate = handshakeRate(entry) {
                scope.admission.handshakeRate = rate
            }
        case .addresses(let allows):
            scope.limits.addresses.rules += prefixes(entry).map { AddressList.Rule(allows: allows, peers: $0) }
        case .origin:
            if let policy = originPolicy(entry) { scope.limits.origin = policy }
        case .probation(let path, let range):
            if isOff(entry) {
                scope[keyPath: path] = nil
            } else if let value = probation(entry, range) {
                scope[keyPath: path] = value
            }
        case .special:
            break
        }
    }

    private mutating func applyNumber(_ entry: Admitted, to scope: inout Scope) {
        switch entry.directive.setting {
        case .bytes(let path, let range):
            if let value = number(entry, range, Unit.bytes, { Unit.text(bytes: $0) }) {
                scope[keyPath: path] = Int(clamping: value)
            }
        case .count(let path, let range):
            if let value = number(entry, range, Unit.count, { String($0) }) {
                scope[keyPath: path] = Int(clamping: value)
            }
        case .countOrOff(let path, let range):
            if isOff(entry) {
                scope[keyPath: path] = nil
            } else if let value = number(entry, range, Unit.count, { String($0) }) {
                scope[keyPath: path] = Int(clamping: value)
            }
        case .time(let path, let range):
            if let value = number(entry, range, Unit.milliseconds, { Unit.text(milliseconds: $0) }) {
                scope[keyPath: path] = value
            }
        case .timeOrOff(let path, let range):
            if isOff(entry) {
                scope[keyPath: path] = nil
            } else if let value = number(entry, range, Unit.milliseconds, { Unit.text(milliseconds: $0) }) {
                scope[keyPath: path] = value
            }
        case .flag, .policy, .slowConsumer, .dispatch, .topics, .logLevel, .compression, .origin, .addresses, .rate,
            .forwarding, .fileMode, .name, .isolation, .checkpoint, .crash, .recycling, .probation, .special:
            break
        }
    }

    /// The one value of a directive that takes one; its lack and what is too much are reported.
    mutating func onlyValue(_ entry: Admitted) -> Word? {
        let name = Quotation.short(entry.directive.name)
        let words = entry.statement.arguments
        guard let word = words.first else {
            report.error("\(name) needs \(entry.directive.expected)", at: entry.statement.name.range)
            return nil
        }
        if words.count > 1 {
            report.error("\(name) takes one value: \(entry.directive.expected)", at: words[1].range)
            return nil
        }
        return word
    }

    mutating func choice<Value: CaseIterable & RawRepresentable<String>>(
        _ entry: Admitted, among values: Value.Type
    ) -> Value? {
        choice(entry, Dictionary(uniqueKeysWithValues: values.allCases.map { ($0.rawValue, $0) }))
    }

    /// One word of several; anything else is reported, with what was probably meant.
    private mutating func choice<Value>(_ entry: Admitted, _ known: [String: Value]) -> Value? {
        guard let word = onlyValue(entry) else { return nil }
        if let value = known[word.text] { return value }
        let hint = Suggestion.nearest(to: word.text, among: known.keys.sorted())
        guard let hint else {
            reportValue(word, entry)
            return nil
        }
        let name = Quotation.short(entry.directive.name)
        report.error("\(name) does not take \(Quotation.short(word.text)) (did you mean \"\(hint)\"?)", at: word.range)
        return nil
    }

    private mutating func fileMode(_ entry: Admitted) -> Int? {
        guard let word = onlyValue(entry) else { return nil }
        guard (3...4).contains(word.text.utf8.count), word.text.utf8.allSatisfy({ (0x30...0x37).contains($0) }),
            let mode = Int(word.text, radix: 8), mode <= 0o777
        else {
            reportValue(word, entry)
            return nil
        }
        return mode
    }

    /// The name of a user or a group, which is looked up when it is used.
    mutating func systemName(_ entry: Admitted) -> String? {
        guard let word = onlyValue(entry) else { return nil }
        guard !word.text.isEmpty, word.text.utf8.count <= 255, !word.text.utf8.contains(0) else {
            reportValue(word, entry)
            return nil
        }
        return word.text
    }

    private mutating func handshakeRate(_ entry: Admitted) -> HandshakeRate? {
        let words = entry.statement.arguments
        guard !words.isEmpty else { return onlyValue(entry).flatMap { _ in nil } }
        do throws(HandshakeRate.Failure) {
            return try HandshakeRate(words.map(\.text))
        } catch {
            let word = words[error.word]
            report.error("\(Quotation.short(word.text)) \(error.sentence)", at: word.range)
            return nil
        }
    }

    /// The peers that the words of a directive name.
    mutating func prefixes(_ entry: Admitted) -> [AddressPrefix] {
        if entry.statement.arguments.isEmpty {
            let name = Quotation.short(entry.directive.name)
            report.error("\(name) needs \(entry.directive.expected)", at: entry.statement.name.range)
        }
        return entry.statement.arguments.compactMap { word in
            do throws(AddressPrefix.Failure) {
                return try AddressPrefix(word.text)
            } catch {
                report.error("\(Quotation.short(word.text)) \(error.sentence)", at: word.range)
                return nil
            }
        }
    }

    private mutating func originPolicy(_ entry: Admitted) -> OriginPolicy? {
        let words = entry.statement.arguments
        guard !words.isEmpty else {
            report.error("\"origin\" needs \(entry.directive.expected)", at: entry.statement.name.range)
            return nil
        }
        do throws(OriginPolicy.Failure) {
            return try OriginPolicy(words.map(\.text))
        } catch {
            let word = words[error.word]
            report.error("\(Quotation.short(word.text)) \(error.sentence)", at: word.range, notes: error.notes)
            return nil
        }
    }

    private mutating func probation(_ entry: Admitted, _ range: ClosedRange<Int64>) -> Limits.Probation? {
        let words = entry.statement.arguments
        guard let first = words.count == 2 ? words[0] : onlyValue(entry) else { return nil }
        guard let milliseconds = number(first, entry, range, Unit.milliseconds, { Unit.text(milliseconds: $0) })
        else { return nil }
        var probation = Limits.Probation(milliseconds: milliseconds)
        if let word = words.dropFirst().first {
            guard let errors = try? Unit.count(word.text), (0...1_000_000).contains(errors) else {
                report.error(
                    "\(Quotation.short(word.text)) is no number of errors (0 to 1000000)", at: word.range)
                return nil
            }
            probation.errors = Int(clamping: errors)
        }
        return probation
    }

    func isOff(_ entry: Admitted) -> Bool { entry.statement.arguments.map(\.text) == ["off"] }

    private mutating func number(
        _ entry: Admitted, _ range: ClosedRange<Int64>, _ read: (String) throws(UnitError) -> Int64,
        _ write: (Int64) -> String
    ) -> Int64? {
        onlyValue(entry).flatMap { number($0, entry, range, read, write) }
    }

    /// - Parameter units: those that there are; nil = as the setting says.
    mutating func number(
        _ word: Word, _ entry: Admitted, _ range: ClosedRange<Int64>, _ read: (String) throws(UnitError) -> Int64,
        _ write: (Int64) -> String, units: String? = nil
    ) -> Int64? {
        let shown = Quotation.short(word.text)
        do throws(UnitError) {
            let value = try read(word.text)
            if range.contains(value) { return value }
        } catch {
            switch error {
            case .notANumber:
                report.error("\(shown) is not \(entry.directive.expected)", at: word.range)
                return nil
            case .missing:
                report.error("\(shown) has no unit (ms, s, m, h or d)", at: word.range)
                return nil
            case .unknown(let unit):
                let known = if case .bytes = entry.directive.setting { "k, m or g" } else { "ms, s, m, h or d" }
                report.error("unknown unit \(Quotation.short(unit)) in \(shown) (\(units ?? known))", at: word.range)
                return nil
            case .tooLarge:
                break
            }
        }
        let bounds = "\(write(range.lowerBound)) to \(write(range.upperBound))"
        report.error("\(shown) is out of range for \"\(entry.directive.name)\" (\(bounds))", at: word.range)
        return nil
    }

    /// Brings the limits of a block into agreement, once all of its directives are read.
    ///
    /// `inheritsFrame` says that `defaults` set `max_frame`, so that a route that does not keeps it.
    mutating func settle(_ scope: inout Scope, inheritsFrame: Bool) {
        let limits = scope.limits
        if let range = scope.ranges["max_frame"], limits.maxFrameBytes > limits.maxMessageBytes {
            let message = Unit.text(bytes: Int64(clamping: limits.maxMessageBytes))
            report.warning(
                "\"max_frame\" above \"max_message\" has no effect (it is \(message) here)", at: range,
                notes: ["A frame is part of a message, so the smaller limit is the one that counts."])
        }
        if scope.ranges["max_frame"] == nil, !inheritsFrame {
            // A block that raises max_message alone means messages of that size, however they are cut into frames.
            scope.limits.maxFrameBytes = limits.maxMessageBytes
        } else {
            scope.limits.maxFrameBytes = min(limits.maxFrameBytes, limits.maxMessageBytes)
        }
        if limits.pingIntervalMilliseconds == nil {
            if let range = scope.ranges["pong_timeout"], limits.pongTimeoutMilliseconds != nil {
                report.warning(
                    "\"pong_timeout\" has no effect while \"ping_interval\" is off", at: range,
                    notes: ["Without pings there are no pongs to wait for."])
            }
            scope.limits.pongTimeoutMilliseconds = nil
        }
        checkAddresses(scope)
    }

    /// Warns of lines that decide nothing, which whoever wrote them takes for a fence.
    private mutating func checkAddresses(_ scope: Scope) {
        let rules = scope.limits.addresses.rules
        func name(_ rule: AddressList.Rule) -> String { rule.allows ? "allow" : "deny" }
        if let all = rules.firstIndex(where: { $0.peers == .all }) {
            guard all < rules.count - 1, let range = scope.ranges[name(rules[all + 1])] else { return }
            let (last, lost) = ("\(name(rules[all])) all", "\(name(rules[all + 1])) \(rules[all + 1].peers)")
            report.warning(
                "\"\(lost)\" behind \"\(last)\" has no effect", at: range,
                notes: ["The first line that fits an address decides, and all addresses fit that one."])
        } else if !rules.isEmpty, scope.ranges["deny"] == nil, let range = scope.ranges["allow"] {
            report.warning(
                "\"allow\" without \"deny\" has no effect", at: range,
                notes: ["An address that fits no line is allowed. Add behind it: deny all;"])
        }
    }

    /// The absolute form of a path written in one of the files.
    func absolute(_ path: String, in file: Int) -> String { FilePath.joined(absoluteFolder(of: file), path) }

    /// The absolute folder of one of the files.
    func absoluteFolder(of file: Int) -> String { FilePath.joined(workingFolder, report.files[file].folder) }
}
