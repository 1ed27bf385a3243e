import HTTP
import Testing

@Suite("RFC 6265 4.2, cookie look-ups")
struct CookieStringTests {
    @Test(arguments: [
        ("a=1", "a", "1"), ("a=1; b=2", "b", "2"), ("a=1;b=2", "b", "2"), ("a=1; a=2", "a", "1"), ("a=", "a", ""),
        ("a=x=y", "a", "x=y"), ("a=%20%zz+", "a", " %zz+"), ("a=\"q\"", "a", "q"), ("a=\"", "a", "\""),
        (" a = 1 ", "a", "1"), (";;a=1", "a", "1"),
    ])
    func found(_ cookies: String, _ name: String, _ value: String) {
        #expect(look(name, cookies) == value)
    }

    @Test(arguments: [("", "a"), ("a", "a"), ("A=1", "a"), ("b=a=1", "a"), ("aa=1", "a"), (";", "")])
    func missing(_ cookies: String, _ name: String) {
        #expect(look(name, cookies) == nil)
    }

    @Test func `over several lines`() throws {
        let head = try head(request("Cookie: a=1", "cookie: b=2; a=3"))
        #expect(head.cookie("a") == "1")
        #expect(head.cookie("b") == "2")
        #expect(head.cookie("c") == nil)
    }

    private func look(_ name: String, _ cookies: String) -> String? {
        let bytes = Array(cookies.utf8)
        return text(CookieString.value(of: name.utf8.span, in: bytes.span, bytes.indices))
    }
}
