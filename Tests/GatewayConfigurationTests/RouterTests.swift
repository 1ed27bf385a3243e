import GatewayConfiguration
import Testing

@Suite("Match order: exact, then :parameter, then longest /*")
struct RouterTests {
    private static let patterns = [
        "/", "/echo", "/rooms/:room", "/rooms/lobby", "/feed/*", "/feed/eu/*", "/a/:x/c", "/:x/b/c", "/a/b/:x",
        "/u/:id/*", "/%C3%A9", "/slash/",
    ]

    struct Case: Sendable, CustomTestStringConvertible {
        var path: String
        var pattern: String?
        var parameters: [String] = []
        var remainder: String?
        var testDescription: String { path }
    }

    @Test(arguments: [
        Case(path: "/", pattern: "/"),
        Case(path: "/echo", pattern: "/echo"),
        Case(path: "/echo/"), Case(path: "/ech"), Case(path: "/echoo"), Case(path: "/Echo"), Case(path: "//echo"),
        Case(path: "/slash/", pattern: "/slash/"), Case(path: "/slash"),
        Case(path: "/rooms/lobby", pattern: "/rooms/lobby"),
        Case(path: "/rooms/a%2Fb", pattern: "/rooms/:room", parameters: ["a%2Fb"]),
        Case(path: "/rooms/"), Case(path: "/rooms"), Case(path: "/rooms/a/b"),
        Case(path: "/feed/", pattern: "/feed/*", remainder: ""),
        Case(path: "/feed"),
        Case(path: "/feed/x/y", pattern: "/feed/*", remainder: "x/y"),
        Case(path: "/feed/eu", pattern: "/feed/*", remainder: "eu"),
        Case(path: "/feed/eu/", pattern: "/feed/eu/*", remainder: ""),
        Case(path: "/feed/eu/a//b", pattern: "/feed/eu/*", remainder: "a//b"),
        Case(path: "/a/b/c", pattern: "/a/b/:x", parameters: ["c"]),
        Case(path: "/a/q/c", pattern: "/a/:x/c", parameters: ["q"]),
        Case(path: "/q/b/c", pattern: "/:x/b/c", parameters: ["q"]),
        Case(path: "/u/7/x", pattern: "/u/:id/*", parameters: ["7"], remainder: "x"),
        Case(path: "/u//x"),
        Case(path: "/%C3%A9", pattern: "/%C3%A9"),
    ])
    func `finds the route and what its variable parts stand for`(_ row: Case) throws {
        let patterns = try Self.patterns.map { try RoutePattern($0) }
        for order in [Array(patterns.indices), patterns.indices.reversed()] {
            let router = Router(order.map { patterns[$0] })
            let path = Array(row.path.utf8)
            let match = router.match(path: path, segments: segments(of: path))
            #expect(match.map { Self.patterns[order[$0.route]] } == row.pattern)
            let text = { (range: Range<Int>) in String(decoding: path[range], as: UTF8.self) }
            #expect(match?.parameters.map(text) ?? [] == row.parameters)
            #expect(match?.remainder.map(text) == row.remainder)
        }
    }

    @Test func `a prefix of nothing is everything`() throws {
        let router = Router([try RoutePattern("/*")])
        for (text, remainder) in [("/", 1..<1), ("/a", 1..<2), ("/a/b/", 1..<5)] {
            let path = Array(text.utf8)
            let match = router.match(path: path, segments: segments(of: path))
            #expect(match?.route == 0)
            #expect(match?.remainder == remainder)
        }
    }

    @Test func `without routes nothing is found, and a thousand are told apart`() throws {
        let nothing = Router([]).match(path: [0x2F], segments: [1..<1])
        #expect(nothing == nil)
        let router = Router(try (0..<1000).map { try RoutePattern("/r\($0 * 7919 % 1000)") })
        for index in 0..<1000 {
            let path = Array("/r\(index * 7919 % 1000)".utf8)
            let match = router.match(path: path, segments: segments(of: path))
            #expect(match?.route == index)
        }
    }

    @Test func `segments that do not belong to the path are harmless`() throws {
        let router = Router([try RoutePattern("/a/:x"), try RoutePattern("/a/*")])
        let match = router.match(path: [0x2F], segments: [5..<6, 9..<12])
        #expect(match == nil)
    }

    /// What stands between the slashes, as the HTTP reader gives it.
    private func segments(of path: [UInt8]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var start = 1
        for index in path.indices.dropFirst() where path[index] == UInt8(ascii: "/") {
            result.append(start..<index)
            start = index + 1
        }
        return result + [start..<path.count]
    }
}
