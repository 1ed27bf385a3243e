import HTTP
import Testing

@Suite("RFC 9110 7.2, Host")
struct AuthorityTests {
    private func parse(_ bytes: [UInt8]) -> Authority? { Authority(bytes.span, in: bytes.indices) }

    @Test(arguments: [
        ("a", "a", nil),
        ("example.com:8080", "example.com", 8080),
        ("example.com:", "example.com", nil),
        ("under_score.test", "under_score.test", nil),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]", "[::1]", nil),
        ("[::1]:65535", "[::1]", 65_535),
        ("[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]", 1),
    ])
    func taken(_ text: String, _ host: String, _ port: Int?) throws {
        let bytes = Array(text.utf8)
        let authority = try #require(parse(bytes))
        #expect(String(decoding: bytes[authority.host], as: UTF8.self) == host)
        #expect(authority.port == port)
        #expect(authority.range == bytes.indices)
    }

    @Test(arguments: [
        "", ":80", "a b", "a,b", "user@a", "a/b", "a?b", "a#b", "a\\b", "a%41", "é", "a:b", "a:65536", "a:-1",
        "a:99999999999999999999999", "a:80:80", "::1", "[", "[]", "[::1", "[::1]x", "[::1]80", "[1.2.3.4]", "[::g]",
        "[fe80::1%25eth0]", "[1:2:3:4:5:6:7:8:9]", "a\"b",
    ])
    func refused(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(parse(bytes)?.range == nil)
        #expect(HTTPTests.refusal("GET / HTTP/1.1\r\nHost: \(text)\r\n\r\n") == .badHost)
    }
}
