/// Where a page comes from, as browsers say it in `Origin` (RFC 6454 7): scheme, host and port, in a form that compares.
package struct WebOrigin: Sendable, Hashable, CustomStringConvertible {
    /// In lower case.
    package let scheme: String
    /// In lower case; an IPv6 address in brackets, in its one form.
    package let host: String
    /// That of the scheme where none was written; nil where the scheme has none.
    package let port: Int?

    /// Longer texts are no origin: a host has 253 characters at most.
    private static let mostBytes = 512

    /// Reads one origin; nil for `null`, for a list, and for what is none.
    package init?(_ text: some Collection<UInt8>) {
        guard text.count <= Self.mostBytes else { return nil }
        let bytes = Array(text)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8),
            let scheme = Self.scheme(bytes[..<colon])
        else { return nil }
        guard let (host, written) = Self.authority(bytes[(colon + 3)...]) else { return nil }
        self.scheme = scheme
        self.host = host
        port = written ?? Self.port(ofScheme: scheme)
    }

    /// Reads a host with or without a port, as in `Host`; nil for what is none.
    package static func authority(_ text: some Collection<UInt8>) -> (host: String, port: Int?)? {
        let bytes = Array(text)
        var end = bytes.lastIndex(of: UInt8(ascii: ":")) ?? bytes.count
        if bytes.last == UInt8(ascii: "]") { end = bytes.count }
        guard let host = normalHost(bytes[..<end]) else { return nil }
        if end >= bytes.count { return (host, nil) }
        let digits = bytes[(end + 1)...]
        guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let port = digits.reduce(0) { $0 * 10 + Int($1 &- 0x30) }
        return port <= 65535 ? (host, port) : nil
    }

    /// The form of a host in which it compares; nil where it is none.
    package static func normalHost(_ bytes: some Collection<UInt8>) -> String? {
        let bytes = Array(bytes)
        if bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]"), bytes.count > 2 {
            let text = String(decoding: bytes[1..<(bytes.count - 1)], as: UTF8.self)
            guard text.utf8.contains(UInt8(ascii: ":")), let address = NetworkAddress(text) else { return nil }
            // As browsers have it, an IPv4 address in IPv6 is not the IPv4 one.
            return address.ipv4 == nil ? "[\(address)]" : "[::ffff:\(address)]"
        }
        guard let first = bytes.first, first != UInt8(ascii: ".") else { return nil }
        let isName = bytes.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "-._~".utf8.contains(byte)
        }
        return isName ? String(decoding: bytes.map(lowercased), as: UTF8.self) : nil
    }

    /// The port that a scheme has when none is written.
    package static func port(ofScheme scheme: String) -> Int? {
        switch scheme {
        case "http", "ws": 80
        case "https", "wss": 443
        default: nil
        }
    }

    private static func scheme(_ bytes: ArraySlice<UInt8>) -> String? {
        // RFC 3986 3.1: a letter, then letters, digits, "+", "-" and ".".
        guard let first = bytes.first, (0x61...0x7A).contains(lowercased(first)) else { return nil }
        let isScheme = bytes.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(lowercased(byte)) || "+-.".utf8.contains(byte)
        }
        return isScheme ? String(decoding: bytes.map(lowercased), as: UTF8.self) : nil
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    package var description: String {
        let isPlain = port == Self.port(ofScheme: scheme)
        return "\(scheme)://\(host)" + (isPlain ? "" : port.map { ":\($0)" } ?? "")
    }
}
