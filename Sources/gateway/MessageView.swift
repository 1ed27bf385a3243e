import Bytes
import GatewayControl
package import GatewayLoad

/// What `gateway connect` writes of what comes: for people, or for programs.
package struct MessageView: Sendable {
    package enum Form: Sendable {
        /// For people: with times, JSON over several lines, bytes as a hex dump.
        case readable
        /// A line for each message, bytes as digits.
        case lines
        /// Payloads, and nothing else.
        case raw
        /// An object on a line for each thing that happens.
        case json
    }

    package let form: Form
    package let colour: Bool
    /// Pings of the server are shown.
    package var showsPings = false

    package init(_ form: Form, colour: Bool = false) {
        self.form = form
        self.colour = colour
    }

    /// What is written of an event; empty when nothing is.
    ///
    /// - Parameters:
    ///   - time: of day, for people.
    ///   - roundTrip: of a pong that answers a ping of ours, in nanoseconds.
    package func received(_ event: ClientConnection.Event, at time: String, roundTrip: UInt64? = nil) -> [UInt8] {
        switch form {
        case .readable: Array(readable(event, time, roundTrip).utf8)
        case .lines: lines(event)
        case .raw: raw(event)
        case .json: Array(json(event, roundTrip).utf8)
        }
    }

    // MARK: People

    private func readable(_ event: ClientConnection.Event, _ time: String, _ roundTrip: UInt64?) -> String {
        let front = painted(time, "2") + " " + painted("<", "1;36") + " "
        switch event {
        case .text(let bytes): return front + text(bytes) + "\n"
        case .binary(let bytes):
            let dump = bytes.isEmpty ? "" : "\n" + HexDump.text(bytes)
            return front + painted("binary, \(Self.count(bytes.count))", "35") + dump + "\n"
        case .ping(let bytes): return showsPings ? front + painted("ping\(Self.payload(bytes))", "2") + "\n" : ""
        case .pong(let bytes):
            let time = roundTrip.map { " after \(Self.duration($0))" } ?? ", unasked"
            return front + painted("pong\(Self.payload(bytes))\(time)", "2") + "\n"
        case .close(let code, let reason):
            let colour = CloseMeaning.isFine(code) ? "32" : "31"
            return front + painted(Self.close(code, reason), colour) + "\n"
        }
    }

    private func text(_ bytes: [UInt8]) -> String {
        // Only what looks like more than a number or a word is worth other lines.
        if let first = bytes.first(where: { $0 > 0x20 }), [UInt8(ascii: "{"), UInt8(ascii: "[")].contains(first),
            let value = JSONValue(bytes)
        {
            return JSONPrinter.text(value, colour: colour)
        }
        return PrintableText.escaped(String(decoding: bytes, as: UTF8.self))
    }

    /// A Close in words.
    package static func close(_ code: UInt16?, _ reason: String) -> String {
        let said = reason.isEmpty ? "" : ", \"\(PrintableText.quoted(reason))\""
        return "close" + (code.map { " \($0)" } ?? "") + said + " (\(CloseMeaning.text(code)))"
    }

    private static func payload(_ bytes: [UInt8]) -> String {
        if bytes.isEmpty { return "" }
        let text = String(validating: bytes, as: UTF8.self).map { PrintableText.quoted($0) }
        return " " + (text.map { "\"\($0)\"" } ?? HexDump.digits(bytes))
    }

    package static func duration(_ nanoseconds: UInt64) -> String {
        let tenths = nanoseconds / 100_000
        return tenths < 10 ? "\(nanoseconds / 1000) us" : "\(tenths / 10).\(tenths % 10) ms"
    }

    private static func count(_ bytes: Int) -> String { "\(bytes) byte\(bytes == 1 ? "" : "s")" }

    package func painted(_ text: String, _ code: String) -> String {
        colour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }

    // MARK: Programs

    private func lines(_ event: ClientConnection.Event) -> [UInt8] {
        switch event {
        case .text(let bytes): bytes + [0x0A]
        case .binary(let bytes): Array(HexDump.digits(bytes).utf8) + [0x0A]
        case .ping, .pong, .close: []
        }
    }

    private func raw(_ event: ClientConnection.Event) -> [UInt8] {
        switch event {
        case .text(let bytes), .binary(let bytes): bytes
        case .ping, .pong, .close: []
        }
    }

    private func json(_ event: ClientConnection.Event, _ roundTrip: UInt64?) -> String {
        var writer = JSONWriter()
        writer.object { writer in
            switch event {
            case .text(let bytes):
                writer.member("type", "text")
                writer.member("data", String(decoding: bytes, as: UTF8.self))
            case .binary(let bytes):
                writer.member("type", "binary")
                writer.member("hex", HexDump.digits(bytes))
            case .ping(let bytes):
                writer.member("type", "ping")
                writer.member("hex", HexDump.digits(bytes))
            case .pong(let bytes):
                writer.member("type", "pong")
                writer.member("hex", HexDump.digits(bytes))
                if let roundTrip { writer.member("rtt_us", roundTrip / 1000) }
            case .close(let code, let reason):
                writer.member("type", "close")
                writer.member("code", code)
                writer.member("reason", reason)
            }
        }
        if case .ping = event, !showsPings { return "" }
        return writer.text + "\n"
    }

    /// What a server answered that did not open a WebSocket.
    package static func refusal(_ answer: ClientAnswer) -> String {
        var text = "refused: \(answer.status) \(PrintableText.escaped(answer.phrase))"
        for name in ["location", "retry-after", "www-authenticate", "sec-websocket-version"] {
            if let value = answer[name] { text += "\n   \(name): \(PrintableText.escaped(value))" }
        }
        let body = String(decoding: answer.body, as: UTF8.self)
        for line in body.split(whereSeparator: \.isNewline).prefix(20) {
            text += "\n   \(PrintableText.escaped(String(line)))"
        }
        if let hint = hint(answer, body) { text += "\n   \(hint)" }
        return text
    }

    private static func hint(_ answer: ClientAnswer, _ body: String) -> String? {
        if body.contains("origin-not-allowed") { return "An Origin is sent with: -H 'Origin: https://www.example.com'" }
        if body.contains("plain-http-on-tls-port") { return "This port speaks TLS: the URL begins with wss://" }
        if body.contains("no-route") { return "`gateway explain PATH` says which paths a configuration has." }
        switch answer.status {
        case 200: return "That is a page, not a WebSocket."
        case 300..<400: return "A WebSocket does not follow redirections: connect there."
        case 401: return "Who you are is told with -H 'Authorization: ...' or -H 'Cookie: ...'."
        default: return nil
        }
    }
}
