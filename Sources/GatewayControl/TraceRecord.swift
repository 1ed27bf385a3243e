import Bytes

/// A frame of a connection that is traced, or something else that happened to it.
package struct TraceRecord: Sendable {
    /// A frame (RFC 6455 5.2).
    package struct Frame: Sendable {
        /// FIN, the reserved bits and the opcode: the first byte of the wire.
        package var head: UInt8
        /// Bytes of the payload on the wire.
        package var length: Int
        /// The message is a text one; of a continuation only the frames before it say so.
        package var isText: Bool
        /// Bytes of it inflated, where the message is compressed (RFC 7692); nil where that is not known.
        package var inflatedLength: Int?
        /// The beginning of the payload, inflated.
        package var payload: [UInt8]

        package init(head: UInt8, length: Int, isText: Bool, inflatedLength: Int? = nil, payload: [UInt8]) {
            self.head = head
            self.length = length
            self.isText = isText
            self.inflatedLength = inflatedLength
            self.payload = payload
        }

        var opcode: UInt8 { head & 0x0F }
        var isFinal: Bool { head & 0x80 != 0 }
        var name: String {
            switch opcode {
            case 0: "continuation"
            case 1: "text"
            case 2: "binary"
            case 8: "close"
            case 9: "ping"
            default: "pong"
            }
        }
    }

    package enum Event: Sendable {
        case received(Frame)
        case sent(Frame)
        /// The connection was opened while the trace was on.
        case opened(peer: String?, route: String)
        /// `close` of its handler is due.
        case closed(code: UInt16, by: String)
        /// The peer broke a rule with what it sent next.
        case violation(String)
    }

    /// By the monotonic clock.
    package let nanoseconds: UInt64
    package let connection: UInt64
    package let event: Event

    package init(nanoseconds: UInt64, connection: UInt64, event: Event) {
        self.nanoseconds = nanoseconds
        self.connection = connection
        self.event = event
    }

    /// Bytes that it takes while it waits.
    package var size: Int {
        switch event {
        case .received(let frame), .sent(let frame): 96 + frame.payload.count
        case .opened, .closed, .violation: 192
        }
    }
}

/// Writes what a trace shows.
package struct TraceWriter: Sendable {
    private let form: ControlCommand.Form
    private let isRedacted: Bool
    /// Bytes of a payload that are shown.
    private let limit: Int

    package init(_ query: TraceQuery) {
        form = query.form
        isRedacted = query.isRedacted
        limit = query.isRedacted ? 0 : query.limit
    }

    /// The line of a record, with its end.
    ///
    /// - Parameter time: when that was, as people and programs read it.
    package func line(_ record: TraceRecord, at time: String) -> String {
        switch form {
        case .json: return json(record, time)
        case .text, .colour: break
        }
        let front = "\(time) \(String(record.connection, radix: 16))"
        switch record.event {
        case .received(let frame): return "\(front) \(painted("in ", "36")) \(text(frame))\n"
        case .sent(let frame): return "\(front) \(painted("out", "35")) \(text(frame))\n"
        case .opened(let peer, let route): return "\(front) open \(peer ?? "-") route=\(PrintableText.escaped(route))\n"
        case .closed(let code, let by): return "\(front) end code=\(code) by=\(by)\n"
        case .violation(let reason):
            return "\(front) \(painted("in ", "36")) \(painted("refused", "1;31")): \(reason)\n"
        }
    }

    /// A line about the trace itself.
    package func note(_ event: String, _ sentence: String, _ name: String, _ number: Int, at time: String) -> String {
        guard form == .json else { return "# \(sentence)\n" }
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("time", time)
            writer.member("event", event)
            writer.member(name, number)
        }
        return writer.text + "\n"
    }

    private func painted(_ text: String, _ colour: String) -> String {
        form == .colour ? "\u{1B}[\(colour)m\(text)\u{1B}[0m" : text
    }

    // MARK: Text

    /// `text 5 "hello"`, `continuation fin=0 3 …`, `binary 80 rsv1 inflated=900 0001…`.
    private func text(_ frame: TraceRecord.Frame) -> String {
        var line = frame.name
        if !frame.isFinal { line += " fin=0" }
        line += " \(frame.length)"
        if frame.head & 0x40 != 0 { line += " rsv1" }
        if let inflated = frame.inflatedLength { line += " inflated=\(inflated)" }
        if let code = Self.code(frame) { line += " code=\(code)" }
        guard let shown = shown(frame) else { return line }
        if shown.isText {
            line += " \"\(PrintableText.quoted(Self.string(shown.bytes, isCut: shown.isCut)))\""
        } else if !shown.bytes.isEmpty {
            line += " \(Self.hexadecimal(shown.bytes))"
        }
        return line + (shown.isCut ? "…" : "")
    }

    /// What of a payload is shown; nil when nothing is.
    private func shown(_ frame: TraceRecord.Frame) -> (bytes: ArraySlice<UInt8>, isText: Bool, isCut: Bool)? {
        if isRedacted { return nil }
        let isClose = frame.opcode == 8
        let bytes = frame.payload.dropFirst(isClose ? 2 : 0).prefix(limit)
        let whole = (frame.inflatedLength ?? frame.length) - (isClose ? min(2, frame.length) : 0)
        if whole == 0 { return isClose || frame.opcode > 8 ? nil : (bytes, frame.isText, false) }
        // What could not be inflated is no text.
        let isInflated = frame.head & 0x40 == 0 || frame.inflatedLength != nil
        return (bytes, (frame.isText && isInflated) || isClose, bytes.count < whole)
    }

    /// The close code of a Close (RFC 6455 5.5.1).
    private static func code(_ frame: TraceRecord.Frame) -> Int? {
        guard frame.opcode == 8, frame.payload.count >= 2 else { return nil }
        return Int(frame.payload[0]) << 8 | Int(frame.payload[1])
    }

    /// - Parameter isCut: the last character may have lost its end; that is no fault of the text.
    private static func string(_ bytes: ArraySlice<UInt8>, isCut: Bool) -> String {
        var bytes = bytes
        if isCut, let start = bytes.suffix(4).lastIndex(where: { $0 & 0xC0 != 0x80 }), bytes[start] >= 0xC0 {
            let length = bytes[start] >= 0xF0 ? 4 : bytes[start] >= 0xE0 ? 3 : 2
            if bytes.endIndex - start < length { bytes = bytes[..<start] }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }, as: UTF8.self)
    }

    // MARK: JSON

    private func json(_ record: TraceRecord, _ time: String) -> String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("time", time)
            switch record.event {
            case .received, .sent: writer.member("event", "frame")
            case .opened: writer.member("event", "open")
            case .closed: writer.member("event", "end")
            case .violation: writer.member("event", "violation")
            }
            writer.member("id", String(record.connection, radix: 16))
            switch record.event {
            case .received(let frame): write(frame, "in", to: &writer)
            case .sent(let frame): write(frame, "out", to: &writer)
            case .opened(let peer, let route):
                writer.member("peer", peer)
                writer.member("route", route)
            case .closed(let code, let by):
                writer.member("code", code)
                writer.member("by", by)
            case .violation(let reason): writer.member("reason", reason)
            }
        }
        return writer.text + "\n"
    }

    private func write(_ frame: TraceRecord.Frame, _ direction: String, to writer: inout JSONWriter) {
        writer.member("direction", direction)
        writer.member("opcode", frame.name)
        writer.member("fin", frame.isFinal)
        writer.member("compressed", frame.head & 0x40 != 0 || frame.inflatedLength != nil)
        writer.member("length", frame.length)
        if let inflated = frame.inflatedLength { writer.member("inflated_length", inflated) }
        if let code = Self.code(frame) { writer.member("code", code) }
        guard let shown = shown(frame) else { return }
        if shown.isText {
            writer.member(frame.opcode == 8 ? "reason" : "text", Self.string(shown.bytes, isCut: shown.isCut))
        } else {
            writer.member("hex", Self.hexadecimal(shown.bytes))
        }
        if shown.isCut { writer.member("truncated", true) }
    }
}
