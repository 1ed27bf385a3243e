import GatewayLoad
import Testing

@Suite("RFC 6455 4.1, what answers the opening handshake")
struct OpeningReplyTests {
    private static let good = [
        "HTTP/1.1 101 Switching Protocols", "Upgrade: WebSocket", "Connection: upgrade",
        "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= ",
    ]

    private static func evaluate(_ lines: [String], _ rest: [UInt8] = []) -> OpeningReply.Outcome {
        let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + rest
        return OpeningReply.evaluate(bytes.span)
    }

    @Test func `a right reply opens and says where frames begin`() {
        let length = Self.good.joined(separator: "\r\n").utf8.count + 4
        #expect(Self.evaluate(Self.good) == .open(length: length))
        #expect(Self.evaluate(Self.good, [0x81, 0]) == .open(length: length))
    }

    @Test func `a reply is awaited to its end`() {
        let bytes = Array((Self.good.joined(separator: "\r\n") + "\r\n\r\n").utf8)
        for count in 0..<bytes.count { #expect(OpeningReply.evaluate(Array(bytes[..<count]).span) == .needMore) }
    }

    @Test(arguments: [
        ["HTTP/1.1 404 Not Found"] + good.dropFirst(),
        good.filter { !$0.hasPrefix("Upgrade") },
        good.filter { !$0.hasPrefix("sec") },
        good.dropLast() + ["Sec-WebSocket-Accept: AAAALMBiTxaQ9kYGzzhZRbK+xOo="],
        good + ["Sec-WebSocket-Extensions: permessage-deflate"],
        [""],
    ])
    func `a wrong reply is refused`(_ lines: [String]) {
        guard case .refused = Self.evaluate(lines) else {
            Issue.record("not refused")
            return
        }
    }

    @Test func `compression that was offered has to be agreed on`() throws {
        func evaluate(_ lines: [String]) -> OpeningReply.Outcome {
            let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
            return OpeningReply.evaluate(bytes.span, offersDeflate: true)
        }
        let lines = Self.good + ["Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"]
        let length = lines.joined(separator: "\r\n").utf8.count + 4
        let agreed = DeflateResponse("permessage-deflate; server_no_context_takeover")
        #expect(evaluate(lines) == .open(length: length, deflate: agreed))
        for wrong in [Self.good, lines + [lines[4]], Self.good + ["Sec-WebSocket-Extensions: other"]] {
            guard case .refused = evaluate(wrong) else {
                Issue.record("not refused")
                continue
            }
        }
    }

    @Test func `a head without end is refused`() {
        let bytes = Array("HTTP/1.1 101 x\r\nX: ".utf8) + [UInt8](repeating: 0x61, count: OpeningReply.longest)
        guard case .refused = OpeningReply.evaluate(bytes.span) else {
            Issue.record("not refused")
            return
        }
    }

    @Test func `the request carries what was asked for`() throws {
        let plan = try LoadPlan(["ws://h:81/p?q", "--protocol", "chat", "-H", "X-Y: z"])
        let text = String(decoding: OpeningReply.request(for: plan), as: UTF8.self)
        #expect(text.hasPrefix("GET /p?q HTTP/1.1\r\nHost: h:81\r\n"))
        #expect(text.contains("\r\nSec-WebSocket-Protocol: chat\r\n"))
        #expect(text.hasSuffix("\r\nX-Y: z\r\n\r\n"))
        #expect(!text.contains("Extensions"))
        let deflating = OpeningReply.request(for: try LoadPlan(["ws://h/", "--deflate"]))
        #expect(String(decoding: deflating, as: UTF8.self).contains("-Extensions: \(DeflateResponse.offer)\r\n"))
    }
}
