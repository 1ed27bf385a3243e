import Glibc

/// Where a URL `ws://host:port/path` or `wss://host:port/path` leads.
package struct Destination: Equatable, Sendable {
    package let host: String
    package let port: UInt16
    /// With the query; never empty.
    package let path: String
    /// `wss:`, over TLS.
    package let isSecure: Bool

    /// Reads a URL; the error is a sentence for people.
    package init(url: String) throws(LoadUsageError) {
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw LoadUsageError("the URL has a character that no URL may have")
        }
        isSecure = url.hasPrefix("wss://")
        guard isSecure || url.hasPrefix("ws://") else {
            throw LoadUsageError("\"\(url)\" is no URL like ws://127.0.0.1:8080/echo or wss://localhost:8443/echo")
        }
        let rest = url.dropFirst(isSecure ? 6 : 5)
        guard !rest.contains("#") else { throw LoadUsageError("RFC 6455 3: the URL of a WebSocket has no fragment") }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let path = rest[end...]
        self.path = path.hasPrefix("/") ? String(path) : "/" + path
        (host, port) = try Self.authority(rest[..<end], defaultPort: isSecure ? 443 : 80)
    }

    private static func authority(
        _ text: Substring, defaultPort: UInt16
    ) throws(LoadUsageError) -> (String, UInt16) {
        guard !text.contains("@") else { throw LoadUsageError("the URL has a user name, which is not supported") }
        var host = text
        var port: Substring?
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<end]
            let behind = text[text.index(after: end)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { throw LoadUsageError("\"\(text)\" is no address") }
            port = behind.isEmpty ? nil : behind.dropFirst()
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        // RFC 3986 3.2.2: an IPv6 address stands in brackets.
        guard !host.contains(where: { "[]".contains($0) }), text.hasPrefix("[") || !host.contains(":") else {
            throw LoadUsageError("\"\(text)\" is no address")
        }
        guard !host.isEmpty else { throw LoadUsageError("the URL has no host") }
        guard let port else { return (String(host), defaultPort) }
        guard let number = UInt16(port), number > 0 else { throw LoadUsageError("\"\(port)\" is no port") }
        return (String(host), number)
    }

    /// What stands in the Host header.
    package var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
