import GatewayConfiguration

/// What is asked over the control socket: one line each way, so that `nc -U` will do where no `gateway` is at hand.
package enum ControlCommand: Sendable, Equatable {
    /// How a status is written.
    package enum Form: String, Sendable, CaseIterable {
        case text
        /// Text for terminals.
        case colour
        case json
    }

    /// What is there and how it does.
    case status(Form)
    /// Read the configuration again and replace what has changed; or only this handler.
    case reload(String?)
    /// Make the generation of this handler before the current one current again.
    case rollback(String)
    /// Tell every connection to go and end; at once, or spread.
    case stop(Spread?)
    /// Take no new connections and end when the last has left; those that are there stay, or are told to go, spread.
    case drain(Spread?)
    /// Who is connected.
    case connections(ConnectionQuery)
    /// Frames as they pass; the answer has no end of its own.
    case trace(TraceQuery)
    /// Replace the gateway's own program. The answer comes in lines, as it goes on.
    case upgrade(Program)

    /// What takes the place of the gateway's own program.
    package enum Program: Sendable, Equatable {
        /// The file that lies where this one came from.
        case installed
        /// A file, from the root.
        case file(String)
        /// The program that this one has relieved, whatever lies where that came from.
        case before
    }

    /// Within what time connections are told to go, each at a random moment.
    package enum Spread: Sendable, Equatable {
        /// The `drain_timeout` of their routes.
        case drainTimeout
        case milliseconds(Int64)

        /// The longest there is.
        package static let longest: Int64 = 86_400_000

        /// Reads a duration such as 30s; nil for what is none, or too long.
        package init?(_ text: some StringProtocol) {
            guard let duration = try? Unit.milliseconds(String(text)), (1...Self.longest).contains(duration) else {
                return nil
            }
            self = .milliseconds(duration)
        }
    }

    /// Whether it only asks, so that whatever is answered is what was wanted.
    package var isQuestion: Bool {
        switch self {
        case .status, .connections: true
        case .reload, .rollback, .stop, .drain, .trace, .upgrade: false
        }
    }

    /// Whether its answer is the end of the gateway.
    package var isEnd: Bool {
        switch self {
        case .stop, .drain: true
        case .status, .connections, .trace, .reload, .rollback, .upgrade: false
        }
    }

    /// Why a line is no command; the text is the sentence for the client.
    package struct Failure: Error, Equatable, Sendable {
        package let sentence: String
    }

    /// Bytes of the longest line, its end included: the longest name of a handler fits, and a long path.
    package static let longestLine = 4096

    /// Reads a line without its end.
    package init(line: some Collection<UInt8>) throws(Failure) {
        guard let text = String(validating: line, as: UTF8.self) else { throw Failure(sentence: "this is not UTF-8") }
        let words = text.split(separator: " ").map { String($0) }
        let argument = words.dropFirst().first
        if words.first == "stop" || words.first == "drain" {
            let spread = try Self.spread(words)
            self = words[0] == "stop" ? .stop(spread) : .drain(spread)
            return
        }
        if let narrowed = try Self.narrowed(words) {
            self = narrowed
            return
        }
        guard words.count <= 2 else { throw Failure(sentence: "there are too many words") }
        switch (words.first ?? "", argument) {
        case ("status", nil): self = .status(.text)
        case ("status", let form?):
            guard let form = Form(rawValue: form) else { throw Failure(sentence: "a status is text, colour or json") }
            self = .status(form)
        case ("reload", nil): self = .reload(nil)
        case ("reload", let handler?): self = .reload(try Self.name(handler))
        case ("rollback", let handler?): self = .rollback(try Self.name(handler))
        case ("rollback", nil): throw Failure(sentence: "rollback needs the name of a handler")
        default:
            throw Failure(sentence: "known are status, connections, trace, reload, rollback, upgrade, stop and drain")
        }
    }

    /// The command as a line without its end.
    package var line: String {
        switch self {
        case .status(let form): "status \(form.rawValue)"
        case .reload(let handler): handler.map { "reload \($0)" } ?? "reload"
        case .rollback(let handler): "rollback \(handler)"
        case .stop(let spread): "stop\(Self.text(of: spread))"
        case .drain(let spread): "drain\(Self.text(of: spread))"
        case .connections(let query): "connections \(query.line)"
        case .trace(let query): "trace \(query.line)"
        case .upgrade(.installed): "upgrade"
        case .upgrade(.file(let file)): "upgrade" + ControlOptions.words([("file", file)])
        case .upgrade(.before): "upgrade \(Self.back)"
        }
    }

    /// Stands for the program before, where options have a name: no path, since those begin at the root.
    private static let back = "back"

    private static func text(of spread: Spread?) -> String {
        switch spread {
        case nil: ""
        case .drainTimeout: " spread"
        case .milliseconds(let duration): " spread \(Unit.text(milliseconds: duration))"
        }
    }

    /// What stands behind `stop` or `drain`.
    private static func spread(_ words: [String]) throws(Failure) -> Spread? {
        if words.count == 1 { return nil }
        guard words[1] == "spread", words.count <= 3 else {
            throw Failure(sentence: "\(words[0]) takes nothing, or \"spread\" and perhaps a duration")
        }
        if words.count == 2 { return .drainTimeout }
        guard let spread = Spread(words[2]) else {
            throw Failure(sentence: "a duration is 30s, 5m or the like, and 1d at most")
        }
        return spread
    }

    /// Reads a command with options: `connections FORM NAME=VALUE ...`. Nil when it is none.
    private static func narrowed(_ words: [String]) throws(Failure) -> ControlCommand? {
        guard let command = words.first, ["connections", "trace", "upgrade"].contains(command) else { return nil }
        let rest = words.dropFirst()
        if command == "upgrade" { return .upgrade(try program(rest)) }
        let form = rest.first.flatMap { Form(rawValue: $0) }
        let options = try ControlOptions(words: form == nil ? rest : rest.dropFirst())
        if command == "trace" { return .trace(try TraceQuery(options, form: form ?? .text)) }
        return .connections(try ConnectionQuery(options, form: form ?? .text))
    }

    /// What stands behind `upgrade`.
    private static func program(_ words: ArraySlice<String>) throws(Failure) -> Program {
        if words.elementsEqual([back]) { return .before }
        var options = try ControlOptions(words: words)
        let file = options.take("file")
        try options.end()
        guard let file else { return .installed }
        guard file.hasPrefix("/"), !file.utf8.contains(0) else {
            throw Failure(sentence: "the file of an upgrade is a path from the root")
        }
        return .file(file)
    }

    private static func name(_ word: String) throws(Failure) -> String {
        guard isHandlerName(word) else { throw Failure(sentence: "this is no name of a handler") }
        return word
    }

    /// Whether a word could be the name of a handler, as `handler` in gateway.conf takes it.
    package static func isHandlerName(_ word: String) -> Bool {
        let isName = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        return isName && (1...128).contains(word.utf8.count) && word.utf8.first != UInt8(ascii: ".")
    }
}

/// The answer to a command: text, and the exit status for the client.
package struct ControlAnswer: Sendable, Equatable {
    package var text: String
    package var exit: Int32

    package init(_ text: String, exit: Int32) {
        self.text = text
        self.exit = exit
    }

    /// On the wire: the text, then a last line `exit N`, which says that nothing is missing.
    package var bytes: [UInt8] {
        var bytes = Array(text.utf8)
        if let last = bytes.last, last != UInt8(ascii: "\n") { bytes.append(UInt8(ascii: "\n")) }
        return bytes + Array("exit \(exit)\n".utf8)
    }

    /// Reads everything that came; nil when the end is missing.
    package init?(bytes: [UInt8]) {
        guard bytes.last == UInt8(ascii: "\n") else { return nil }
        let body = bytes.dropLast()
        let start = body.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let words = body[start...].split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 2, words[0].elementsEqual("exit".utf8),
            let exit = Int32(String(decoding: words[1], as: UTF8.self)), (0...255).contains(exit)
        else { return nil }
        self.init(String(decoding: body[..<start], as: UTF8.self), exit: exit)
    }
}
