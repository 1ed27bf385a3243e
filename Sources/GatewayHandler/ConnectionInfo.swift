/// The peer of a connection, as its opening handshake said; a copy that may be kept.
public struct ConnectionInfo: Sendable, Hashable {
    /// The name of the connection, for handlers that keep state by such names.
    public let uuid: ConnectionUUID
    /// Normalised and decoded, but for `%2F`.
    public let path: String
    /// Behind the `?`, as sent.
    public let rawQuery: String
    /// The pattern in gateway.conf that matched, such as `/rooms/:room`.
    public let route: String
    /// What the `:name` parts of the route stand for.
    public let parameters: Headers
    /// In wire order, names in lower case.
    public let headers: Headers
    /// The Host header as sent, with its port.
    public let authority: String
    /// Which site's page is asking; empty when no browser asks.
    public let origin: String
    /// Where the client is, numerically.
    public let peer: Endpoint
    /// Where the client reached the gateway, numerically.
    public let local: Endpoint
    /// The subprotocols the client offered, in its order.
    public let subprotocols: [String]
    /// The one that was agreed upon; `nil` when there is none.
    public let subprotocol: String?
    /// True when the gateway itself ended TLS for this client.
    public let isTLS: Bool
    /// Whom the client's certificate was issued for, as in `CN=Ada,O=Example`; `nil` when it showed none. One that does
    /// not hold is refused before the request.
    public let tlsClientName: String?
    /// `TLSv1.3`, say; `nil` without TLS.
    public let tlsVersion: String?
    /// The cipher suite; `nil` without TLS.
    public let tlsCipher: String?
    /// The server name the client asked TLS for; `nil` when it named none.
    public let tlsServerName: String?

    /// Copies what a handshake says.
    public init(_ request: borrowing Request) {
        uuid = request.uuid
        path = request.path
        rawQuery = request.rawQuery
        route = request.route
        parameters = request.parameters
        headers = request.headers
        authority = request.authority
        origin = request.origin
        peer = request.peer
        local = request.local
        subprotocols = request.subprotocols
        subprotocol = request.subprotocol
        isTLS = request.isTLS
        tlsClientName = request.tlsClientName
        tlsVersion = request.tlsVersion
        tlsCipher = request.tlsCipher
        tlsServerName = request.tlsServerName
    }

    /// The host the client asked for, without its port.
    public var host: String { Self.host(of: authority) }

    static func host(of authority: String) -> String {
        // An IPv6 address stands in brackets, which keep its colons apart from that of the port.
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") { return String(authority[...end]) }
        return String(authority.prefix { $0 != ":" })
    }

    /// All values of the query, decoded; empty for a name without `=`.
    public var query: Headers {
        var fields = Headers()
        for pair in rawQuery.utf8.split(separator: UInt8(ascii: "&")) {
            let (name, value) = pair.splitAtEquals
            fields.add(name.decoded(plusIsSpace: true), value.decoded(plusIsSpace: true))
        }
        return fields
    }

    /// All cookies, decoded.
    public var cookies: Headers {
        var fields = Headers()
        for header in headers where header.name == "cookie" {
            // RFC 6265 4.2.1: cookie-string = cookie-pair *( ";" SP cookie-pair )
            for pair in header.value.utf8.split(separator: UInt8(ascii: ";")) {
                let (name, value) = pair.drop { $0 == UInt8(ascii: " ") }.splitAtEquals
                fields.add(String(Substring(name)), value.decoded(plusIsSpace: false))
            }
        }
        return fields
    }
}

// Bytes, not characters: an accent behind a separator would make one character with it.
extension Substring.UTF8View {
    /// Before and behind the first `=`; without one all is before it.
    fileprivate var splitAtEquals: (Self, Self) {
        guard let place = firstIndex(of: UInt8(ascii: "=")) else { return (self, self[endIndex...]) }
        return (self[..<place], self[index(after: place)...])
    }

    /// RFC 3986 2.1, undone; an escape that is none stands for itself.
    fileprivate func decoded(plusIsSpace: Bool) -> String {
        var bytes: [UInt8] = []
        var rest = self
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2).compactMap { Character(UnicodeScalar($0)).hexDigitValue }
            if byte == UInt8(ascii: "%"), digits.count == 2 {
                bytes.append(UInt8(truncatingIfNeeded: digits[0] << 4 | digits[1]))
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") && plusIsSpace ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
