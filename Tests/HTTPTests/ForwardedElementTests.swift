import HTTP
import Testing

@Suite("RFC 7239: an element of Forwarded")
struct ForwardedElementTests {
    @Test(arguments: [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60", "http"),
        ("For=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711", nil),
        ("for=unknown", "unknown", nil), ("for=_gazonk", "_gazonk", nil), ("proto=HTTPS", nil, "https"),
        ("proto=https;for=\"192.0.2.60:80\";host=a.example", "192.0.2.60:80", "https"), ("by=x", nil, nil),
        (";;for=a;;", "a", nil), ("for=\"a\\\"b\"", "a\"b", nil), ("for=\"a;b,c=d\";proto=https", "a;b,c=d", "https"),
        ("for=\"\"", "", nil), ("for=a; proto=b ", "a", "b"), ("", nil, nil),
    ])
    func `is read`(_ text: String, _ node: String?, _ scheme: String?) throws {
        let element = try #require(ForwardedElement(text.utf8))
        #expect(element.node.map { String(decoding: $0, as: UTF8.self) } == node)
        #expect(element.scheme.map { String(decoding: $0, as: UTF8.self) } == scheme)
    }

    @Test(arguments: [
        "for", "for=", "=a", "for=a b", "for =a", "for=a;for=b", "for=a;FOR=b", "for=\"a", "for=\"a\\", "for=\"a\"b",
        "for=[::1]", "for=::1", "for=a;proto", "for=a,proto=https", "fo r=a",
    ])
    func `what is none`(_ text: String) { #expect(ForwardedElement(text.utf8) == nil) }
}
