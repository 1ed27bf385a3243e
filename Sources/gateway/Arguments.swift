import GatewayConfiguration

/// The command line as values.
package struct Arguments: Equatable, Sendable {
    /// What is wanted of the command.
    package enum Wish: Equatable, Sendable {
        /// The command is carried out.
        case work
        /// How it is used; of everything when no command was named.
        case help
        /// `-T`: the configuration in effect.
        case effectiveConfiguration
        case version
    }

    /// Why a command line cannot be followed.
    package struct Failure: Error, Equatable, Sendable {
        /// One sentence without a full stop.
        package let sentence: String
        /// The command of which the help would tell more.
        package let command: Command?
    }

    /// The command; nil = none was named, which means `run`.
    package private(set) var command: Command?
    package private(set) var wish = Wish.work
    /// `-c`.
    package private(set) var file: String?
    /// `--json`.
    package private(set) var isJSON = false
    /// The values of the command's own options by their names, in the order they were given.
    package private(set) var values: [String: [String]] = [:]
    /// The command's own options without a value.
    package private(set) var flags: Set<String> = []
    /// What is left, as many as the command takes.
    package private(set) var operands: [String] = []

    /// Reads the words behind the name of the program.
    package init(_ words: [String]) throws(Failure) {
        var rest = words[...]
        var areOptionsOver = false
        while let word = rest.popFirst() {
            if areOptionsOver || !word.hasPrefix("-") || word == "-" {
                try take(word)
            } else if word == "--" {
                areOptionsOver = true
            } else {
                try takeOption(word, &rest)
            }
        }
        if wish == .work { try checkOperands() }
    }

    private mutating func take(_ word: String) throws(Failure) {
        if command != nil {
            operands.append(word)
        } else if let known = Command(rawValue: word) {
            command = known
        } else if word == "help" {
            wish = .help
        } else {
            let known = Command.allCases.map(\.rawValue) + [BenchCommand.name, "help"]
            let nearest = Suggestion.nearest(to: word, among: known).map { "did you mean \"\($0)\"?" }
            let hint = FamiliarCommand.known[word] ?? nearest
            throw failure("unknown command \(Self.quoted(word))" + (hint.map { " (\($0))" } ?? ""))
        }
    }

    private mutating func takeOption(_ word: String, _ rest: inout ArraySlice<String>) throws(Failure) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
        if parts.count == 2, parts[0] == "--configuration" { return try takeFile(parts[1], word) }
        if let command, command.options.contains(parts[0]) {
            let value = parts.count == 2 ? parts[1] : rest.popFirst()
            guard let value, !value.isEmpty else { throw failure("\(parts[0]) needs a value") }
            values[parts[0], default: []].append(value)
            return
        }
        if let command, command.durations.contains(parts[0]) {
            let value = try duration(parts, &rest)
            values[parts[0], default: []].append(value)
            return
        }
        if let command, command.flags.contains(word) {
            flags.insert(word)
            return
        }
        switch word {
        case "-h", "--help": wish = .help
        case "-v", "--version": wish = .version
        case "-t" where command == nil || command == .check: command = .check
        case "-T" where command == nil || command == .check: wish = .effectiveConfiguration
        case "-c", "--configuration": try takeFile(rest.popFirst(), word)
        case "--json" where command?.hasJSON == true: isJSON = true
        default: throw unknown(word)
        }
    }

    /// What stands behind `=`, or as the next word where that begins with a digit; empty where nothing does.
    private func duration(_ parts: [String], _ rest: inout ArraySlice<String>) throws(Failure) -> String {
        var word = ""
        if parts.count == 2 {
            word = parts[1]
        } else if let next = rest.first, next.utf8.first.map({ (0x30...0x39).contains($0) }) == true {
            word = next
            rest.removeFirst()
        } else {
            return ""
        }
        guard let duration = try? Unit.milliseconds(word), (1...86_400_000).contains(duration) else {
            throw failure("\(parts[0]) takes a duration such as 30s, at most 1d, not \(Self.quoted(word))")
        }
        return word
    }

    private mutating func takeFile(_ name: String?, _ option: String) throws(Failure) {
        if let command, !command.takesConfiguration { throw unknown(option) }
        guard let name, !name.isEmpty else { throw failure("\(option) needs the name of a file") }
        file = name
    }

    private func unknown(_ option: String) -> Failure {
        var known = ["--help", "--version"]
        if command?.takesConfiguration != false { known.append("--configuration") }
        if command?.hasJSON == true { known.append("--json") }
        known += (command?.options ?? []) + (command?.flags ?? []) + (command?.durations ?? [])
        let hint = option.hasPrefix("--") ? Suggestion.nearest(to: option, among: known) : nil
        let place = command.map { " of \"\($0.rawValue)\"" } ?? ""
        return failure(
            "unknown option \(Self.quoted(option))\(place)" + (hint.map { " (did you mean \"\($0)\"?)" } ?? ""))
    }

    private func checkOperands() throws(Failure) {
        let (count, name) = (command ?? .run).operands
        if operands.count < count.lowerBound { throw failure("\"\((command ?? .run).rawValue)\" needs \(name)") }
        if operands.count > count.upperBound {
            throw failure("unexpected \(Self.quoted(operands[count.upperBound]))")
        }
    }

    private func failure(_ sentence: String) -> Failure { Failure(sentence: sentence, command: command) }

    /// Control characters must not reach the terminal by way of a message.
    private static func quoted(_ word: String) -> String {
        let shown = word.unicodeScalars.map { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? "\u{FFFD}" : $0 }
        return "\"\(String(String.UnicodeScalarView(shown)))\""
    }
}
