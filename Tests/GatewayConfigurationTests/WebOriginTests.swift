import GatewayConfiguration
import Testing

@Suite("RFC 6454: origins as browsers compare them")
struct WebOriginTests {
    @Test(arguments: [
        ("https://a.example", "https://a.example"), ("https://a.example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"), ("http://a.example:443", "http://a.example:443"),
        ("HTTPS://A.Example:8443", "https://a.example:8443"), ("wss://a.example:443", "wss://a.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"), ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[0:0::0:1]", "http://[::1]"), ("http://[::ffff:7f00:1]", "http://[::ffff:127.0.0.1]"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"), ("capacitor://localhost", "capacitor://localhost"),
        ("http://xn--bcher-kva.example", "http://xn--bcher-kva.example"),
        ("https://a_b.example", "https://a_b.example"),
        ("http://a.example:0", "http://a.example:0"), ("http://a.example:65535", "http://a.example:65535"),
    ])
    func `are read, and written in one form`(_ text: String, _ written: String) throws {
        #expect(try #require(WebOrigin(text.utf8)).description == written)
        #expect(WebOrigin(text.utf8) == WebOrigin(written.utf8))
    }

    @Test(arguments: [
        "", "null", "NULL", "a.example", "//a.example", "https:", "https:/a.example", "https://", "https://:443",
        "https://a.example/", "https://a.example/path", "https://a.example?x", "https://u@a.example",
        "https://a.example:65536", "https://a.example:", "https://a.example:x", "https://a.example:-1",
        "https://a.example https://b.example", "https://a.example,https://b.example", "https://a b", "1s://a.example",
        "https://[::1", "https://::1", "https://[]", "https://[127.0.0.1]", "https://[::1%25lo]", "https://[::g]",
        "https://.a.example", "https://*.a.example", "https://bücher.example", "https://a.example\u{0}",
        "https://a%2eexample", " https://a.example", "://a.example", "https://" + String(repeating: "a", count: 600),
    ])
    func `what is none`(_ text: String) { #expect(WebOrigin(text.utf8) == nil) }

    @Test func `differ by scheme, host and port`() {
        let texts = [
            "https://a.example", "http://a.example", "https://b.example", "https://a.example:444", "https://a.example.",
            "http://127.0.0.1", "http://[::ffff:127.0.0.1]",
        ]
        #expect(Set(texts.map { WebOrigin($0.utf8) }).count == texts.count)
    }
}
