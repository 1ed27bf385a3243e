import Testing

@testable import GatewayConfiguration

@Suite("gateway.conf: host")
struct HostPatternTests {
    @Test(arguments: [
        ("api.example.com", "api.example.com"), ("API.Example.COM", "api.example.com"), ("localhost", "localhost"),
        ("*.example.com", "*.example.com"), ("*.Example.com.", "*.example.com"), ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"), ("[0:0::1]", "[::1]"), ("a_b.example", "a_b.example"),
    ])
    func `is read, and written in one form`(_ text: String, _ written: String) throws {
        #expect(try HostPattern(text).description == written)
        #expect(try HostPattern(text) == HostPattern(written))
    }

    @Test(arguments: [
        ("a.example", "a.example", true), ("a.example", "A.Example", true), ("a.example", "a.example.", true),
        ("a.example", "b.a.example", false), ("a.example", "xa.example", false), ("a.example", "", false),
        ("*.a.example", "b.a.example", true), ("*.a.example", "c.b.a.example", true),
        ("*.a.example", "a.example", false),
        ("*.a.example", ".a.example", false), ("*.a.example", "xa.example", false),
        ("*.a.example", "b.a.example.evil", false), ("*.a.example", "B.A.EXAMPLE.", true), ("[::1]", "[0::1]", true),
        ("a.example", "a.example:80", false), ("a.example", "a.example..", false),
    ])
    func `covers`(_ pattern: String, _ host: String, _ isCovered: Bool) throws {
        #expect(try HostPattern(pattern).covers(HostPattern.requested(Array(host.utf8)[...])) == isCovered)
    }

    @Test(arguments: [
        Refusal(
            "host { route /x { handler h; } }",
            [
                "1:1+4 error: \"host\" needs a name such as api.example.com or *.example.com"
            ]),
        Refusal("host a.example;", ["1:15+1 error: \"host\" needs a block in braces"]),
        Refusal(
            "host a.example b.example { }",
            [
                "1:16+9 error: \"host\" takes one value: a name such as api.example.com or *.example.com"
            ]),
        Refusal("host a.example:80 { }", ["1:6+12 error: \"a.example:80\" has a port; a host block is for all ports"]),
        Refusal(
            "host bücher.example { }",
            [
                "1:6+14 error: \"bücher.example\" is no host as requests name it (write it in its form of ASCII, xn--...)"
            ]),
        Refusal(
            "host *.[::1] { }", ["1:6+7 error: \"*.[::1]\" is no name of a host: there is nothing below an address"]),
        Refusal(
            "host a.*.example { } host * { } host http://a { } host .a { }",
            [
                "1:6+11 error: \"a.*.example\" is no name of a host, such as api.example.com or *.example.com",
                "1:27+1 error: \"*\" is no name of a host, such as api.example.com or *.example.com",
                "1:38+8 error: \"http://a\" is no name of a host, such as api.example.com or *.example.com",
                "1:56+2 error: \".a\" is no name of a host, such as api.example.com or *.example.com",
            ]),
        Refusal(
            "host a { route /x { handler h; } }\nhost A. { route /y { handler h; } }",
            [
                "2:6+2 error: duplicate host \"A.\" (first set at gateway.conf:1)"
            ]),
        Refusal(
            "host a { route /:x { handler h; }\nroute /:y { handler h; } }",
            [
                "2:7+3 error: duplicate route \"/:y\" (first set at gateway.conf:1)"
            ]),
        Refusal(
            "host a { handler h; }",
            [
                "1:10+7 error: \"handler\" is not allowed in the block of a \"host\", only in a route"
            ]),
        Refusal(
            "host a { host b { } }",
            [
                "1:10+4 error: \"host\" is not allowed in the block of a \"host\", only at the top level"
            ]),
    ])
    func `is refused with the place and what is legal`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }

    @Test func `one path may have a route for each host, and one for all`() throws {
        let text = """
            listen 1; route /x { handler all; }
            host a.example { route /x { handler a; } }
            host *.a.example { route /x { handler below; } }
            """
        let routes = try #require(Reading(text).configuration?.routes)
        #expect(routes.map(\.name) == ["/x", "a.example/x", "*.a.example/x"])
    }

    @Test func `one without routes is odd`() {
        #expect(Reading(complete("host a { }")).findings == ["1:6+1 warning: host \"a\" has no route"])
        #expect(
            Reading("listen 1; host a { }").findings == [
                "1:16+1 warning: host \"a\" has no route",
                " warning: there is no \"route\", so every request is answered 404",
            ])
        #expect(Reading("listen 1; host a { route /x { handler h; } }").findings == [])
    }
}
