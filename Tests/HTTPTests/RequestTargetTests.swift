import HTTP
import Testing

@Suite("RFC 9112 3.2, request target")
struct RequestTargetTests {
    @Test(arguments: [
        ("GET / HTTP/1.1", RequestHeadError?.none),
        ("GET /a|b?{x}^\\ HTTP/1.1", nil),
        ("OPTIONS * HTTP/1.1", nil),
        ("GET * HTTP/1.1", .badTarget),
        ("OPTIONS *x HTTP/1.1", .badTarget),
        ("GET http://h HTTP/1.1", nil),
        ("GET HTTPS://h/ HTTP/1.1", nil),
        ("GET ws://h/ HTTP/1.1", nil),
        ("GET wss://[::1]:9/ HTTP/1.1", nil),
        ("GET ftp://h/ HTTP/1.1", .badTarget),
        ("GET http:/h HTTP/1.1", .badTarget),
        ("GET http:// HTTP/1.1", .badTarget),
        ("GET http:///x HTTP/1.1", .badHost),
        ("GET http://u@h/ HTTP/1.1", .badHost),
        ("GET h:80 HTTP/1.1", .badTarget),
        ("GET path HTTP/1.1", .badTarget),
        ("GET ?q HTTP/1.1", .badTarget),
        ("GET /#f HTTP/1.1", .badTarget),
        ("GET /é HTTP/1.1", .badTarget),
        ("CONNECT h:80 HTTP/1.1", .connectNotSupported),
        ("CONNECT / HTTP/1.1", .connectNotSupported),
        ("GET /.. HTTP/1.1", .pathEscapesRoot),
        ("GET http://h/../x HTTP/1.1", .pathEscapesRoot),
    ])
    func refused(_ line: String, _ error: RequestHeadError?) {
        #expect(HTTPTests.refusal(request(line: line)) == error)
    }

    @Test func `3.2.2, the authority of an absolute target wins over Host`() throws {
        let head = try head("GET http://example.com:81?q=1 HTTP/1.1\r\nHost: other\r\n\r\n")
        #expect(head.target.form == .absolute)
        #expect(head.host.map(head.string) == "example.com:81")
        #expect(head.authority?.port == 81)
        #expect(head.target.path.bytes == Array("/".utf8))
        #expect(head.target.rawQuery.map(head.string) == "q=1")
        #expect(head.first("host").map(head.string) == "other")
    }

    @Test func `3.2.1, origin form`() throws {
        let head = try head(request(line: "GET /a/%41?x=/..?y HTTP/1.1"))
        #expect(head.target.form == .origin)
        #expect(head.string(head.target.rawPath) == "/a/%41")
        #expect(head.target.rawQuery.map(head.string) == "x=/..?y")
        #expect(text(head.target.path.bytes) == "/a/A")
        #expect(try self.head(request(line: "GET /? HTTP/1.1")).target.rawQuery?.isEmpty == true)
        #expect(try self.head(request(line: "GET / HTTP/1.1")).target.rawQuery == nil)
    }

    @Test func `3.2.4, the asterisk has no segment a route could match`() throws {
        let head = try head(request(line: "OPTIONS * HTTP/1.1"))
        #expect(head.target.form == .asterisk)
        #expect(Array(head.target.path.segments).isEmpty)
    }

    private func head(_ text: String) throws -> RequestHead { try HTTPTests.head(text) }
}
