package import GatewayTLS

/// What a `ClientConnection` asks for.
package struct ClientRequest: Sendable {
    package let destination: Destination
    /// Lines such as `Name: value`; one that is written here is not written by the client itself.
    package var headers: [String] = []
    /// In the order of preference.
    package var subprotocols: [String] = []
    package var trust = TLSClient.Trust.system
    package var offersDeflate = false
    /// The WebSocket is a stream of a connection of HTTP/2 (RFC 8441).
    package var speaksHTTP2 = false
    /// Seconds that connecting and each step of the handshake may take.
    package var patience = 10

    package init(_ destination: Destination) { self.destination = destination }

    /// A key as 16 random bytes make it in base64.
    ///
    /// RFC 6455 4.1: "The nonce MUST be selected randomly for each connection."
    static func makeKey() -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var key = ""
        for _ in 0..<21 { key.append(alphabet[Int.random(in: 0..<alphabet.count)]) }
        // Two bits are left for the last character.
        key.append(alphabet[16 * Int.random(in: 0..<4)])
        return key + "=="
    }

    /// The bytes of the request.
    package func bytes(key: String) -> [UInt8] {
        var lines = ["GET \(destination.path) HTTP/1.1"]
        func add(_ name: String, _ value: String) {
            let isWritten = headers.contains { $0.lowercased().hasPrefix(name.lowercased() + ":") }
            if !isWritten { lines.append("\(name): \(value)") }
        }
        add("Host", destination.authority)
        lines += [
            "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13",
        ]
        if !subprotocols.isEmpty { lines.append("Sec-WebSocket-Protocol: \(subprotocols.joined(separator: ", "))") }
        if offersDeflate { lines.append("Sec-WebSocket-Extensions: \(DeflateResponse.offer)") }
        lines += headers
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }
}
