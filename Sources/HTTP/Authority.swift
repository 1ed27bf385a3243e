/// The host that is asked and perhaps a port, as ranges into the bytes they were read from.
public struct Authority: Sendable {
    /// The whole of it, as sent.
    public let range: Range<Int>
    /// The name or address, brackets of an IPv6 address included.
    public let host: Range<Int>
    /// The port; nil if none was sent.
    public let port: Int?

    /// Reads `uri-host [ ":" port ]` (RFC 9110 7.2); nil if it is anything else.
    ///
    /// Refuses what the grammar allows but no client means: an empty host (RFC 9110 4.2.1), percent-encoded names,
    /// sub-delims such as the comma of two Hosts that a proxy joined, and addresses of future versions. User
    /// information is never part of it (RFC 9110 4.2.4).
    public init?(_ bytes: Span<UInt8>, in range: Range<Int>) {
        guard let first = range.first else { return nil }
        let hostEnd: Int
        if bytes[first] == 0x5B {
            guard let close = bytes.firstIndex(of: 0x5D, in: range) else { return nil }
            guard Self.isAddress(bytes, in: first + 1..<close) else { return nil }
            hostEnd = close + 1
        } else {
            hostEnd = bytes.firstIndex(of: Octet.colon, in: range) ?? range.upperBound
            guard hostEnd > first else { return nil }
            for offset in first..<hostEnd where !Octet.isUnreserved(bytes[offset]) { return nil }
        }
        self.range = range
        host = first..<hostEnd
        guard hostEnd < range.upperBound else {
            port = nil
            return
        }
        guard bytes[hostEnd] == Octet.colon else { return nil }
        var number = 0
        for offset in hostEnd + 1..<range.upperBound {
            let byte = bytes[offset]
            guard Octet.isDigit(byte) else { return nil }
            number = number * 10 + Int(byte &- 0x30)
            guard number <= 65_535 else { return nil }
        }
        // RFC 3986 3.2.3: a port may be empty and then says nothing.
        port = hostEnd + 1 < range.upperBound ? number : nil
    }

    /// Whether the bytes between brackets can be an IPv6 address: hexadecimal digits, colons, dots.
    private static func isAddress(_ bytes: Span<UInt8>, in range: Range<Int>) -> Bool {
        guard range.count >= 2, range.count <= 45 else { return false }
        var colons = 0
        for offset in range {
            switch bytes[offset] {
            case Octet.colon: colons += 1
            case Octet.dot: continue
            case let byte: guard Octet.hexadecimal(byte) != nil else { return false }
            }
        }
        return colons >= 2 && colons <= 7
    }
}
