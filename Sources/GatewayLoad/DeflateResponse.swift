/// What a server answers to the client's offer of permessage-deflate (RFC 7692 7.1).
package struct DeflateResponse: Equatable, Sendable {
    /// RFC 7692 7.1.1.2: the client never refers to an earlier message, so that its frames can be made beforehand. Its
    /// window is not offered for limitation, for the same reason.
    package static let offer = "permessage-deflate; client_no_context_takeover"

    /// As the server wrote it.
    package let text: String
    /// The server may refer to earlier messages of its own.
    package private(set) var keepsContext = true
    /// The client may, if it has not promised otherwise.
    package private(set) var clientKeepsContext = true

    /// - Parameter text: the value of Sec-WebSocket-Extensions; nil comes of one that no server may give to the offer.
    package init?(_ text: String) {
        self.text = text
        let words = text.split(separator: ";", omittingEmptySubsequences: false).map { Self.trimmed($0) }
        guard words.first == "permessage-deflate" else { return nil }
        var known: Set<Substring> = []
        for word in words.dropFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.trimmed(parts[0])
            // RFC 7692 7.1: a parameter that stands twice fails the connection.
            guard known.insert(name).inserted else { return nil }
            switch name {
            case "server_no_context_takeover" where parts.count == 1: keepsContext = false
            case "client_no_context_takeover" where parts.count == 1: clientKeepsContext = false
            // RFC 7692 7.1.2.1: what is sent with a smaller window is read with the largest as well.
            case "server_max_window_bits" where parts.count == 2 && Self.isWindow(parts[1]): break
            default: return nil
            }
        }
    }

    private static func isWindow(_ value: Substring) -> Bool {
        let digits = trimmed(value).drop { $0 == "\"" }.prefix { $0 != "\"" }
        return Int(digits).map { (8...15).contains($0) } ?? false
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
