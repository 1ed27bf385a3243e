/// Why a header may not go into a response.
public enum ResponseHeaderError: Error, Sendable {
    /// The name is empty or not a token.
    case badName
    /// The value has a line end, NUL or another control character, which could begin a header or a response of its own.
    case badValue
    /// The header says where the message ends or what was agreed on, which only the gateway can say.
    case reservedName
}

/// Header lines that were checked and are ready to be written.
public struct ResponseHeaders: Sendable {
    /// The lines with their line ends.
    public private(set) var bytes: [UInt8] = []
    /// Whether one of them is Content-Type, which then replaces the default.
    public private(set) var hasContentType = false

    public init() {}

    /// Adds a line after checking that it is one line and the caller's to say.
    public mutating func append(_ name: Span<UInt8>, _ value: Span<UInt8>) throws(ResponseHeaderError) {
        guard name.count > 0 else { throw .badName }
        for offset in name.indices where !Octet.isToken(name[offset]) { throw .badName }
        guard !Self.isReserved(name) else { throw .reservedName }
        // RFC 9110 5.5: CR, LF and NUL are dangerous; the other controls are invalid. HTAB is fine.
        for offset in value.indices {
            let byte = value[offset]
            guard !Octet.isControl(byte) || byte == Octet.tab else { throw .badValue }
        }
        if name.equalsIgnoringCase("content-type", in: name.indices) { hasContentType = true }
        bytes.reserveCapacity(bytes.count + name.count + value.count + 4)
        for offset in name.indices { bytes.append(name[offset]) }
        bytes.append(Octet.colon)
        bytes.append(Octet.space)
        for offset in value.indices { bytes.append(value[offset]) }
        bytes.append(Octet.carriageReturn)
        bytes.append(Octet.lineFeed)
    }

    /// Adds a line from text after the same checks.
    public mutating func append(_ name: String, _ value: String) throws(ResponseHeaderError) {
        try append(name.utf8.span, value.utf8.span)
    }

    private static func isReserved(_ name: Span<UInt8>) -> Bool {
        let reserved: InlineArray<11, String> = [
            "date", "upgrade", "trailer", "connection", "keep-alive", "content-length", "transfer-encoding",
            "proxy-connection", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions",
        ]
        for index in reserved.indices
        where name.equalsIgnoringCase(reserved[index].utf8.span, in: name.indices) { return true }
        return false
    }
}
