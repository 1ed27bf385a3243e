import HTTP
import Testing
import WebSocket

private let right = [
    "Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
]

private func head(_ lines: [String], line: String = "GET /chat HTTP/1.1") throws -> RequestHead {
    let bytes = Array(([line] + lines + ["", ""]).joined(separator: "\r\n").utf8)
    var reader = RequestHeadReader()
    guard case .head(let head, _) = try reader.read(bytes.span.bytes) else { throw RequestHeadError.badRequestLine }
    return head
}

/// The right handshake with the line of one header replaced by others, or with others added if it has no such line.
private func changed(_ name: String, _ lines: String..., line: String = "GET /chat HTTP/1.1") throws -> RequestHead {
    try head(right.filter { !$0.hasPrefix(name + ":") } + lines, line: line)
}

private func offer(_ head: RequestHead) throws -> OpeningHandshake {
    guard case .offered(let handshake) = OpeningHandshake.evaluate(head) else {
        throw HandshakeRefusal.missingKey
    }
    return handshake
}

private func refusal(_ head: RequestHead) -> HandshakeRefusal? {
    guard case .refused(let refusal) = OpeningHandshake.evaluate(head) else { return nil }
    return refusal
}

@Suite("RFC 6455 4.2, opening handshake")
struct OpeningHandshakeTests {
    @Test func `1.3, the sample key`() throws {
        let head = try head(right)
        var output: [UInt8] = [0x21]
        try offer(head).appendSwitchingProtocols(to: &output, of: head)
        #expect(
            String(decoding: output, as: UTF8.self)
                == "!HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
    }

    @Test(arguments: [
        ("x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
        ("AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
        ("//////////////////////==", nil),
    ])
    func `4.2.2, other keys`(_ key: String, _ accept: String?) throws {
        let handshake = try offer(changed("Sec-WebSocket-Key", "Sec-WebSocket-Key: \(key)"))
        let value = String(decoding: handshake.accept.indices.map { handshake.accept[$0] }, as: UTF8.self)
        #expect(value.utf8.count == 28 && value.hasSuffix("="))
        if let accept { #expect(value == accept) }
    }

    @Test(arguments: [
        ("Connection", "Connection: keep-alive, Upgrade"), ("Connection", "connection: UPGRADE"),
        ("Upgrade", "Upgrade: WebSocket"), ("Upgrade", "Upgrade: h2c, websocket"),
        ("Upgrade", "Upgrade: h2c\r\nUpgrade: websocket"), ("Connection", "Connection: x\r\nConnection: upgrade"),
        ("X", "Content-Length: 0"), ("Sec-WebSocket-Key", "sec-websocket-key:\tdGhlIHNhbXBsZSBub25jZR==  "),
    ])
    func `4.2.1, legal oddities are accepted`(_ name: String, _ line: String) throws {
        _ = try offer(changed(name, line))
    }

    @Test func `absolute form is accepted`() throws {
        _ = try offer(head(right, line: "GET http://server.example.com/chat HTTP/1.1"))
    }

    @Test func `requests of plain HTTP`() throws {
        let plain = [
            try head(["Host: a"]), try changed("Upgrade"), try changed("Upgrade", "Upgrade: h2c"),
            try changed("Upgrade", "Upgrade: websockets"),
            // RFC 9110 7.8: Upgrade in an HTTP/1.0 request is ignored.
            try head(right, line: "GET /chat HTTP/1.0"),
        ]
        for head in plain {
            guard case .notWebSocket = OpeningHandshake.evaluate(head) else {
                Issue.record("not plain: \(head.string(0..<head.bytes.count))")
                continue
            }
        }
    }

    @Test(arguments: [
        ("Connection", "", HandshakeRefusal.missingConnectionUpgrade),
        ("Connection", "Connection: keep-alive", .missingConnectionUpgrade),
        ("X", "Content-Length: 1", .bodyNotAllowed),
        ("X", "Transfer-Encoding: chunked", .bodyNotAllowed),
        ("Sec-WebSocket-Version", "", .unsupportedVersion),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8", .unsupportedVersion),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 013", .unsupportedVersion),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8", .unsupportedVersion),
        ("X", "Sec-WebSocket-Version: 13", .unsupportedVersion),
        ("Sec-WebSocket-Key", "", .missingKey),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key:", .badKey),
        ("X", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", .badKey),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=", .badKey),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA", .badKey),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==AAAA", .badKey),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j=Q==", .badKey),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2-jZQ==", .badKey),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZ SBub2jZQ==", .badKey),
        ("X", "Sec-WebSocket-Protocol:", .badSubprotocol),
        ("X", "Sec-WebSocket-Protocol: a b", .badSubprotocol),
        ("X", "Sec-WebSocket-Protocol: a, b, a", .badSubprotocol),
        ("X", "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a", .badSubprotocol),
        ("X", "Sec-WebSocket-Protocol: \"a\"", .badSubprotocol),
    ])
    func `4.2.1, what is refused`(_ name: String, _ line: String, _ expected: HandshakeRefusal) throws {
        let head = line.isEmpty ? try changed(name) : try changed(name, line)
        #expect(refusal(head) == expected)
    }

    @Test func `4.2.1, the method has to be GET`() throws {
        for method in ["POST", "HEAD", "get", "PUT"] {
            #expect(refusal(try head(right, line: "\(method) /chat HTTP/1.1")) == .methodNotAllowed)
        }
    }

    @Test func `subprotocols are counted to their limit`() throws {
        let names = (1...OpeningHandshake.maxSubprotocols + 1).map { "p\($0)" }
        let full = names.dropLast().joined(separator: ",")
        #expect(try offer(changed("X", "Sec-WebSocket-Protocol: \(full)")).subprotocols.count == 64)
        let over = names.joined(separator: ",")
        #expect(refusal(try changed("X", "Sec-WebSocket-Protocol: \(over)")) == .tooManySubprotocols)
    }

    @Test func `offers are ranges in the client's order`() throws {
        let head = try changed(
            "X", "Sec-WebSocket-Protocol: chat.v2, chat.v1", "Sec-WebSocket-Protocol: Chat.v1",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x; y=\"1,2\"")
        let handshake = try offer(head)
        func agreed(_ name: String) -> Range<Int>? { handshake.subprotocol(name.utf8.span, in: head) }
        #expect(handshake.subprotocols.map(head.string) == ["chat.v2", "chat.v1", "Chat.v1"])
        #expect(
            handshake.extensions.map(head.string) == ["permessage-deflate; client_max_window_bits", "x; y=\"1,2\""])
        #expect(agreed("chat.v1") == handshake.subprotocols[1])
        #expect(agreed("chat.V1") == nil)
    }

    @Test func `the 101 carries what was agreed on and further headers`() throws {
        let head = try changed("X", "Sec-WebSocket-Protocol: a, b")
        let handshake = try offer(head)
        var headers = ResponseHeaders()
        try headers.append("Set-Cookie", "s=1")
        var output: [UInt8] = []
        handshake.appendSwitchingProtocols(
            to: &output, subprotocol: handshake.subprotocols[1], of: head,
            extensions: Array("permessage-deflate".utf8), headers: headers)
        #expect(
            String(decoding: output, as: UTF8.self).hasSuffix(
                "xOo=\r\nSec-WebSocket-Protocol: b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
                    + "Set-Cookie: s=1\r\n\r\n"))
    }

    @Test func `4.4, answers have the headers of their status`() {
        var dates = DateCache()
        for refusal in HandshakeRefusal.allCases {
            var output: [UInt8] = []
            refusal.response.append(to: &output, at: 0, &dates)
            let answer = String(decoding: output, as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 \(refusal.status) "))
            #expect(answer.contains("\r\n\r\n\(refusal.word): "))
            #expect(answer.contains("\r\nAllow: GET\r\n") == (refusal.status == 405))
            #expect(answer.contains("\r\nSec-WebSocket-Version: 13\r\n") == (refusal.status == 426))
        }
    }
}
