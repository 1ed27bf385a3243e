import GatewayConfiguration
import Testing

@Suite("gateway.conf: route patterns")
struct RoutePatternTests {
    @Test(arguments: [
        ("/", "/", RoutePattern.Kind.exact, []), ("/echo", "/echo", .exact, []), ("/echo/", "/echo/", .exact, []),
        ("/%7Ea%2fb", "/~a%2Fb", .exact, []), ("/é", "/%C3%A9", .exact, []), ("/a:b@c;d", "/a:b@c;d", .exact, []),
        ("/rooms/:room", "/rooms/:room", .parameter, ["room"]), ("/:a/x/:_b2", "/:a/x/:_b2", .parameter, ["a", "_b2"]),
        ("/feed/*", "/feed/*", .prefix, []), ("/*", "/*", .prefix, []), ("/:a/*", "/:a/*", .prefix, ["a"]),
        ("/...", "/...", .exact, []),
    ])
    func `reads and normalises`(_ text: String, _ normal: String, _ kind: RoutePattern.Kind, _ names: [String]) throws {
        let pattern = try RoutePattern(text)
        #expect(pattern.description == normal)
        #expect(pattern.kind == kind)
        #expect(pattern.parameterNames == names)
        #expect(try RoutePattern(pattern.description) == pattern)
    }

    @Test func `shape forgets the names of parameters and nothing else`() throws {
        #expect(try RoutePattern("/a/:x/b").shape == RoutePattern("/a/:y/b").shape)
        #expect(try RoutePattern("/a/:x").shape != RoutePattern("/a/:x/*").shape)
        #expect(try RoutePattern("/a/:x").shape != RoutePattern("/:a/x").shape)
    }

    @Test func `1024 bytes and not one more`() throws {
        let longest = "/" + String(repeating: "a", count: 1023)
        #expect(try RoutePattern(longest).description == longest)
        #expect(throws: RoutePattern.Failure.self) { try RoutePattern(longest + "a") }
    }

    @Test(arguments: refusedPatterns)
    func `refuses what no request could match`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }
}

private let refusedPatterns: [Refusal] = [
    Refusal(
        "route x { handler h; }",
        ["1:7+1 error: \"x\" does not begin with \"/\""]),
    Refusal(
        "route '' { handler h; }",
        ["1:7+2 error: \"\" does not begin with \"/\""]),
    Refusal(
        "route /a//b { handler h; }",
        ["1:7+5 error: \"/a//b\" has an empty segment (\"//\")"]),
    Refusal(
        "route //a { handler h; }",
        ["1:7+3 error: \"//a\" has an empty segment (\"//\")"]),
    Refusal(
        "route /a*b { handler h; }",
        ["1:7+4 error: \"/a*b\" has a \"*\" that does not stand alone as the last segment"]),
    Refusal(
        "route /*/a { handler h; }",
        ["1:7+4 error: \"/*/a\" has a \"*\" that does not stand alone as the last segment"]),
    Refusal(
        "route /: { handler h; }",
        ["1:7+2 error: \"/:\" has a parameter whose name is not letters, digits and \"_\""]),
    Refusal(
        "route /:1 { handler h; }",
        ["1:7+3 error: \"/:1\" has a parameter whose name is not letters, digits and \"_\""]),
    Refusal(
        "route /:a-b { handler h; }",
        ["1:7+5 error: \"/:a-b\" has a parameter whose name is not letters, digits and \"_\""]),
    Refusal(
        "route /:a/:a { handler h; }",
        ["1:7+6 error: \"/:a/:a\" has two parameters called \"a\""]),
    Refusal(
        "route /% { handler h; }",
        ["1:7+2 error: \"/%\" has a \"%\" without two hexadecimal digits"]),
    Refusal(
        "route /%4 { handler h; }",
        ["1:7+3 error: \"/%4\" has a \"%\" without two hexadecimal digits"]),
    Refusal(
        "route /%zz { handler h; }",
        ["1:7+4 error: \"/%zz\" has a \"%\" without two hexadecimal digits"]),
    Refusal(
        "route /%00 { handler h; }",
        ["1:7+4 error: \"/%00\" has an escaped control character"]),
    Refusal(
        "route /%7F { handler h; }",
        ["1:7+4 error: \"/%7F\" has an escaped control character"]),
    Refusal(
        "route /a?b=1 { handler h; }",
        ["1:7+6 error: \"/a?b=1\" has a query or a fragment; a route is a path only"]),
    Refusal(
        "route /a#b { handler h; }",
        ["1:7+4 error: \"/a#b\" has a query or a fragment; a route is a path only"]),
    Refusal(
        "route '/a b' { handler h; }",
        ["1:7+6 error: \"/a b\" has a character that is not allowed in a path (write it as %XX)"]),
    Refusal(
        "route /a\\b { handler h; }",
        ["1:7+4 error: \"/a\\b\" has a character that is not allowed in a path (write it as %XX)"]),
    Refusal(
        "route /. { handler h; }",
        ["1:7+2 error: \"/.\" has a segment \".\" or \"..\""]),
    Refusal(
        "route /a/.. { handler h; }",
        ["1:7+5 error: \"/a/..\" has a segment \".\" or \"..\""]),
    Refusal(
        "route /%2e%2E/a { handler h; }",
        ["1:7+9 error: \"/%2e%2E/a\" has a segment \".\" or \"..\""]),
]
