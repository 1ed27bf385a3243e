import Bytes
import GatewayConfiguration
import GatewayControl

/// What the access log says of an opening, an end, a refusal or a plain request; what is not known is left out.
///
///     TIME access: close id=1f peer=127.0.0.1:5555 route=/chat handler=chat generation=2 code=1000 by=peer …
struct AccessRecord {
    enum Event: String {
        /// A connection was opened: 101.
        case open
        /// A connection has ended.
        case close
        /// A request was turned away, or could not be read.
        case refuse
        /// A plain request was answered.
        case request
    }

    let event: Event
    /// The connection, or that of the request.
    var id: UInt64?
    var peer: String?
    var host: String?
    var method: String?
    /// As it was sent, with its query.
    var path: String?
    var route: String?
    var handler: String?
    var generation: UInt64?
    var status: Int?
    /// The code word of a refusal.
    var reason: String?
    /// The close code.
    var code: UInt16?
    /// Who ended the connection.
    var by: String?
    /// Why in words, where somebody said.
    var detail: String?
    var traffic: Traffic?
    var durationMilliseconds: UInt64?
    /// The version of TLS.
    var tls: String?
    /// The version of HTTP.
    var http: String?
    var subprotocol: String?

    /// What went over a connection.
    struct Traffic {
        let messagesIn: UInt64
        let messagesOut: UInt64
        let bytesIn: UInt64
        let bytesOut: UInt64
    }

    /// The line, without its end.
    func text(_ form: LogForm, at time: String) -> String {
        switch form {
        case .text:
            var line = TextFields("\(time) access: \(event.rawValue)")
            write(to: &line)
            return line.text
        case .json:
            var writer = JSONWriter()
            writer.object { writer in
                writer.member("time", time)
                writer.member("event", event.rawValue)
                var line = JSONFields(writer: writer)
                write(to: &line)
                writer = line.writer
            }
            return writer.text
        }
    }

    private func write(to line: inout some AccessFields) {
        line.word("id", id.map { String($0, radix: 16) })
        line.word("peer", peer)
        line.quoted("host", host)
        line.word("method", method)
        line.quoted("path", path)
        line.word("route", route)
        line.word("handler", handler)
        line.number("generation", generation)
        line.number("status", status.map { UInt64($0) })
        line.word("reason", reason)
        line.number("code", code.map { UInt64($0) })
        line.word("by", by)
        line.quoted("detail", detail)
        line.number("messages_in", traffic?.messagesIn)
        line.number("messages_out", traffic?.messagesOut)
        line.number("bytes_in", traffic?.bytesIn)
        line.number("bytes_out", traffic?.bytesOut)
        line.number("duration_ms", durationMilliseconds)
        line.word("tls", tls)
        line.word("http", http)
        line.quoted("subprotocol", subprotocol)
    }
}

/// What takes the facts of an access record; nothing for those that are nil.
private protocol AccessFields {
    /// Something of the gateway's, without spaces.
    mutating func word(_ name: String, _ value: String?)
    /// Something of a stranger's.
    mutating func quoted(_ name: String, _ value: String?)
    mutating func number(_ name: String, _ value: UInt64?)
}

private struct TextFields: AccessFields {
    private(set) var text: String

    init(_ text: String) { self.text = text }

    mutating func word(_ name: String, _ value: String?) {
        guard let value else { return }
        text += " \(name)=\(value)"
    }

    mutating func quoted(_ name: String, _ value: String?) {
        guard let value else { return }
        text += " \(name)=\"\(PrintableText.quoted(value))\""
    }

    mutating func number(_ name: String, _ value: UInt64?) { word(name, value.map { String($0) }) }
}

private struct JSONFields: AccessFields {
    var writer: JSONWriter

    mutating func word(_ name: String, _ value: String?) {
        if let value { writer.member(name, value) }
    }

    mutating func quoted(_ name: String, _ value: String?) { word(name, value) }

    mutating func number(_ name: String, _ value: UInt64?) {
        if let value { writer.member(name, value) }
    }
}
