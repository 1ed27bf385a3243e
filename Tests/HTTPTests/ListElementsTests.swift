import HTTP
import Testing

@Suite("RFC 9110 5.6.1, lists")
struct ListElementsTests {
    @Test(arguments: [
        (["L: a"], ["a"]),
        (["L: a,b , c"], ["a", "b", "c"]),
        (["L: a", "M: x", "l: b, c"], ["a", "b", "c"]),
        (["L: , ,a,, b,"], ["a", "b"]),
        (["L:", "L: \t", "L: ,"], []),
        (["M: a"], []),
        (["L: a; p=\"x,y\", b"], ["a; p=\"x,y\"", "b"]),
        (["L: \"a\\\",b\", c"], ["\"a\\\",b\"", "c"]),
        (["L: \"open, b", "L: c"], ["\"open, b", "c"]),
        (["L: \"end\\"], ["\"end\\"]),
    ])
    func elements(_ lines: [String], _ elements: [String]) throws {
        let head = try head("GET / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n")
        #expect(head.elements(of: "l").map(head.string) == elements)
        for element in elements { #expect(head.hasToken(element.lowercased(), in: "l")) }
    }
}
