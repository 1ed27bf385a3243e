import HTTP
import Testing

@Suite("Query look-ups")
struct QueryStringTests {
    @Test(arguments: [
        ("a=1", "a", "1"), ("a=1&b=2", "b", "2"), ("a=1&a=2", "a", "1"), ("a", "a", ""), ("a=", "a", ""),
        ("x&a", "a", ""), ("a=b=c", "a", "b=c"), ("a=1+2%2B3", "a", "1 2+3"), ("%61b=1", "ab", "1"),
        ("a+b=1", "a b", "1"), ("a=%zz%4", "a", "%zz%4"), ("a=%00", "a", "\0"), ("&&a=1", "a", "1"), ("=v", "", "v"),
    ])
    func found(_ query: String, _ key: String, _ value: String) {
        #expect(look(key, query) == value)
    }

    @Test(arguments: [("", "a"), ("b=a", "a"), ("aa=1", "a"), ("A=1", "a"), ("&", ""), ("", ""), ("a=1", "ab")])
    func missing(_ query: String, _ key: String) {
        #expect(look(key, query) == nil)
    }

    @Test func `in a head`() throws {
        let head = try head(request(line: "GET /p?token=a%20b HTTP/1.1"))
        #expect(head.query("token") == "a b")
        #expect(head.query("x") == nil)
        #expect(try HTTPTests.head(request()).query("x") == nil)
    }

    private func look(_ key: String, _ query: String) -> String? {
        let bytes = Array(query.utf8)
        return text(QueryString.value(of: key.utf8.span, in: bytes.span, bytes.indices))
    }
}
