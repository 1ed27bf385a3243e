import GatewayIO
import HTTP
import Testing

@testable import GatewayHTTP2

/// What a header list of HTTP/2 is as a head of HTTP/1.1.
struct RequestTextTests {
    private func text(_ fields: [(String, String)], most: Int = 16_384, isWhole: Bool = true) -> RequestText? {
        var text = RequestText(most: most)
        for (name, value) in fields {
            let isTaken = Array(name.utf8).withUnsafeBytes { name in
                Array(value.utf8).withUnsafeBytes { text.append(name, $0) }
            }
            guard isTaken else { return nil }
        }
        return text
    }

    private func head(_ fields: [(String, String)], isWhole: Bool = true) throws -> RequestHead? {
        var reader = RequestHeadReader()
        let bytes = try #require(text(fields)).text(isWhole: isWhole)
        guard case .head(let head, let length) = try reader.read(bytes.span), length == bytes.count else { return nil }
        return head
    }

    @Test func `a request is the one that HTTP/1.1 would have`() throws {
        let head = try #require(
            try head([
                (":method", "POST"), (":scheme", "https"), (":authority", "a.example:8443"), (":path", "/x?y=1"),
                ("host", "a.example:8443"), ("content-length", "3"), ("x-one", "1"),
            ]))
        #expect(head.methodName == "POST" && head.string(head.target.range) == "/x?y=1")
        #expect(head.string(try #require(head.host)) == "a.example:8443")
        #expect(head.contentLength == 3)
        #expect(head.string(try #require(head.first("x-one"))) == "1")
    }

    @Test func `a host that contradicts the authority is an error`() {
        #expect(throws: RequestHeadError.self) {
            try head([
                (":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/"), ("host", "b"),
            ])
        }
    }

    @Test func `an extended CONNECT is a GET`() throws {
        let fields = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a"),
            (":path", "/"),
        ]
        let head = try #require(try head(fields, isWhole: false))
        #expect(head.method == .get && !head.hasBody)
        #expect(text(fields)?.kind == .webSocket)
        #expect(text(fields.map { $0.0 == ":protocol" ? (":protocol", "connect-udp") : $0 })?.kind == .unknownProtocol)
    }

    @Test func `crumbs of cookies are one line`() throws {
        let head = try #require(
            try head([
                (":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"), ("cookie", "a=1"),
                ("cookie", "b=2"),
            ]))
        #expect(head.string(try #require(head.first("cookie"))) == "a=1; b=2")
    }

    @Test func `a body without a length comes as chunks would`() throws {
        let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
        let open = try #require(try head(fields, isWhole: false))
        #expect(open.isChunked)
        let whole = try #require(try head(fields, isWhole: true))
        #expect(!whole.hasBody)
    }

    @Test func `more than twice what may be is not even kept, and a line end is no value`() throws {
        #expect(text([("a", "1\r\nb: 2")]) == nil)
        #expect(text([("a", String(repeating: "x", count: 133))], most: 100) != nil)
        #expect(text([("a", String(repeating: "x", count: 168))], most: 100) == nil)
        let cut = try #require(
            text((0..<5).map { (":x\($0)", String(repeating: "x", count: 3)) }.map { ("y" + $0.0, $0.1) }, most: 200))
        #expect(cut.size == 5 * (4 + 3 + 32))
    }
}
