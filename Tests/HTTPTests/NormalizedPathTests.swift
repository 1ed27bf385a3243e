import HTTP
import Testing

@Suite("RFC 3986 6.2.2, one spelling of a path")
struct NormalizedPathTests {
    @Test(arguments: [
        ("", "/", "/"),
        ("/", "/", "/"),
        ("/a/b", "/a/b", "/a/b"),
        ("/a/b/", "/a/b/", "/a/b/"),
        ("/%61%2D%7e", "/a-~", "/a-~"),
        ("/%e2%82%ac", "/%E2%82%AC", "/€"),
        ("/a%2fb", "/a%2Fb", "/a%2Fb"),
        ("/a%20b%3a", "/a%20b%3A", "/a b:"),
        ("/%252e%252e/x", "/%252e%252e/x", "/%2e%2e/x"),
        ("/a%5cb\\c", "/a%5Cb\\c", "/a\\b\\c"),
        ("/.", "/", "/"),
        ("/./a", "/a", "/a"),
        ("/a/.", "/a/", "/a/"),
        ("/a/..", "/", "/"),
        ("/a/../b", "/b", "/b"),
        ("/a/b/../../c", "/c", "/c"),
        ("/a/b/..", "/a/", "/a/"),
        ("/a/%2e%2E/b", "/b", "/b"),
        ("/a/.%2e/b/%2e/c", "/b/c", "/b/c"),
        ("/...", "/...", "/..."),
        ("/.a/..b/c..", "/.a/..b/c..", "/.a/..b/c.."),
        ("/a//b", "/a//b", "/a//b"),
        ("//a", "//a", "//a"),
        ("/a//../b", "/a/b", "/a/b"),
        ("/..%2fa", "/..%2Fa", "/..%2Fa"),
        ("/A", "/A", "/A"),
        ("/a+b", "/a+b", "/a+b"),
    ])
    func normalised(_ raw: String, _ bytes: String, _ decoded: String) throws {
        let path = try NormalizedPath(raw)
        #expect(text(path.bytes) == bytes)
        #expect(text(path.decoded) == decoded)
        #expect(try NormalizedPath(bytes) == path, "normalising is done after once")
    }

    @Test(arguments: [
        ("/%", RequestHeadError.badPath), ("/%4", .badPath), ("/%zz", .badPath), ("/%4g", .badPath),
        ("/%00", .badPath), ("/%1f", .badPath), ("/%0d%0a", .badPath), ("/%7F", .badPath),
        ("/%80", .badPath), ("/%c0%ae%c0%ae/x", .badPath), ("/%ed%a0%80", .badPath), ("/%e2%82/%ac", .badPath),
        ("/..", .pathEscapesRoot), ("/a/../..", .pathEscapesRoot), ("/%2e%2e/x", .pathEscapesRoot),
        ("/./../x", .pathEscapesRoot), ("/a/../../a", .pathEscapesRoot), ("a", .badTarget),
    ])
    func refused(_ raw: String, _ error: RequestHeadError) {
        #expect(throws: error) { try NormalizedPath(raw) }
    }

    @Test(arguments: [
        ("/", [""]), ("/a", ["a"]), ("/a/", ["a", ""]), ("/a//b", ["a", "", "b"]), ("/x%2Fy/z", ["x%2Fy", "z"]),
    ])
    func segments(_ raw: String, _ segments: [String]) throws {
        let path = try NormalizedPath(raw)
        #expect(path.segments.map { String(decoding: path.bytes[$0], as: UTF8.self) } == segments)
    }

    @Test func `a segment is decoded fully once the route is found`() throws {
        let path = try NormalizedPath("/rooms/a%2Fb%20%e2%82%ac%252F")
        let room = try #require(Array(path.segments).last)
        #expect(text(path.decode(room)) == "a/b €%2F")
    }

    @Test func `a long climb takes linear time and ends at the root`() throws {
        let deep = String(repeating: "/a", count: 4000) + String(repeating: "/..", count: 4000)
        #expect(text(try NormalizedPath(deep).bytes) == "/")
    }
}
