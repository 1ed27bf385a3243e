/// The answer of a server to an opening handshake, without what follows an empty line.
package struct ClientAnswer: Equatable, Sendable {
    package let status: Int
    /// What follows the status, as in `Not Found`.
    package let phrase: String
    /// As they came, in order.
    package let fields: [(name: String, value: String)]
    /// What came behind the head of a refusal.
    package var body: [UInt8] = []

    /// More than any server has to say about a handshake.
    static let longestHead = 64 << 10
    static let longestBody = 64 << 10

    /// Reads the head at the front of what came, and says how long that is; nil while it is not whole, or is none.
    package static func read(_ bytes: [UInt8]) -> (answer: ClientAnswer, length: Int)? {
        var lines: [String] = []
        var start = 0
        for index in bytes.indices.dropLast() where bytes[index] == 0x0D && bytes[index + 1] == 0x0A && index >= start {
            if index == start {
                return ClientAnswer(lines).map { ($0, index + 2) }
            }
            lines.append(String(decoding: bytes[start..<index], as: UTF8.self))
            start = index + 2
        }
        return nil
    }

    private init?(_ lines: [String]) {
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
        self.status = status
        phrase = words.count > 2 ? String(words[2]) : ""
        fields = lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            return (String(line[..<colon]), String(value.reversed().drop { $0 == " " || $0 == "\t" }.reversed()))
        }
    }

    /// The first field of that name, whatever its case.
    package subscript(name: String) -> String? {
        fields.first { $0.name.lowercased() == name }?.value
    }

    package static func == (left: ClientAnswer, right: ClientAnswer) -> Bool {
        left.status == right.status && left.phrase == right.phrase && left.body == right.body
            && left.fields.map(\.name) == right.fields.map(\.name)
            && left.fields.map(\.value) == right.fields.map(\.value)
    }

    /// Why it does not open a WebSocket that was asked for so; nil when it does.
    func objection(to request: ClientRequest, accept: String) -> String? {
        // RFC 6455 4.1: a reply without these fails the connection.
        guard self["upgrade"]?.lowercased() == "websocket" else { return "the reply has no Upgrade: websocket" }
        guard self["sec-websocket-accept"] == accept else {
            return "the reply has a wrong Sec-WebSocket-Accept, or none"
        }
        if let agreed = self["sec-websocket-protocol"], !request.subprotocols.contains(agreed) {
            return "the server agrees to the subprotocol \"\(agreed)\", which was not asked for"
        }
        guard let extensions = self["sec-websocket-extensions"] else { return nil }
        guard request.offersDeflate, DeflateResponse(extensions) != nil else {
            return "the server agrees to the extension \"\(extensions)\", which was not offered"
        }
        return nil
    }
}
