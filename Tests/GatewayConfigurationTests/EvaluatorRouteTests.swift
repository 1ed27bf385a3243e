import GatewayConfiguration
import Testing

@Suite("gateway.conf: route")
struct EvaluatorRouteTests {
    @Test func `a route carries everything that was said about it`() throws {
        let text = """
            listen 1;
            defaults { max_message 2k; ping_interval off; }
            route /rooms/:room {
                handler chat-2_x.y;
                subprotocols chat.v2 chat.v1;
                set history 50;
                set greeting "hello there";
                max_connections 5000;
                max_message 4k;
                idle_timeout 1m;
            }
            """
        let route = try #require(Reading(text).configuration?.routes.first)
        #expect(route.pattern.description == "/rooms/:room")
        #expect(route.handler == "chat-2_x.y")
        #expect(route.origin.description == "gateway.conf:3")
        #expect(route.subprotocols == ["chat.v2", "chat.v1"])
        #expect(
            route.settings == [.init(key: "history", value: "50"), .init(key: "greeting", value: "hello there")])
        #expect(route.maxConnections == 5000)
        #expect(route.limits.maxMessageBytes == 4096)
        #expect(route.limits.maxFrameBytes == 4096)
        #expect(route.limits.idleTimeoutMilliseconds == 60_000)
        #expect(route.limits.pingIntervalMilliseconds == nil)
        #expect(route.limits.pongTimeoutMilliseconds == nil)
        #expect(route.limitOrigins["max_message"]?.description == "gateway.conf:9")
        #expect(route.limitOrigins["ping_interval"] == nil)
    }

    @Test func `max_frame follows max_message until somebody sets it`() {
        let cases: [(defaults: String, route: String, frame: Int)] = [
            ("", "", 1 << 20), ("", "max_message 2m;", 2 << 20), ("max_message 4m;", "", 4 << 20),
            ("max_frame 64k;", "", 65536), ("max_frame 64k;", "max_message 2m;", 65536),
            ("max_frame 64k;", "max_message 1k;", 1024), ("max_frame 64k;", "max_frame 128k;", 131_072),
        ]
        for (defaults, route, frame) in cases {
            let text = "listen 1; defaults { \(defaults) } route /x { handler h; \(route) }"
            #expect(Reading(text).configuration?.routes.first?.limits.maxFrameBytes == frame, "\(text)")
        }
    }

    @Test(arguments: refusedRoutes)
    func `refuses a route that could not work`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }
}

private let refusedRoutes: [Refusal] = [
    Refusal(
        "route /x;",
        ["1:9+1 error: \"route\" needs a block in braces"]),
    Refusal(
        "route { handler h; }",
        ["1:1+5 error: \"route\" needs a path such as /echo"]),
    Refusal(
        "route /x { }",
        ["1:7+2 error: route \"/x\" has no handler"]),
    Refusal(
        "route /x/ /y { handler h; }",
        ["1:11+2 error: \"route\" takes one value: a path such as /echo"]),
    Refusal(
        "route /a/:p { handler h; }\nroute /a/:q { handler h; }",
        ["2:7+5 error: duplicate route \"/a/:q\" (first set at gateway.conf:1)"]),
    Refusal(
        "route /x { handler h; }\nroute /%78 { handler h; }",
        ["2:7+4 error: duplicate route \"/%78\" (first set at gateway.conf:1)"]),
    Refusal(
        "route /x { handler ../x; }",
        ["1:20+4 error: \"../x\" is no name of a handler (letters, digits, \"_\", \"-\" and \".\", at most 128)"]),
    Refusal(
        "route /x { handler .x; }",
        ["1:20+2 error: \".x\" is no name of a handler (letters, digits, \"_\", \"-\" and \".\", at most 128)"]),
    Refusal(
        "route /x { handler ''; }",
        ["1:20+2 error: \"\" is no name of a handler (letters, digits, \"_\", \"-\" and \".\", at most 128)"]),
    Refusal(
        "route /x { handler a/b; }",
        ["1:20+3 error: \"a/b\" is no name of a handler (letters, digits, \"_\", \"-\" and \".\", at most 128)"]),
    Refusal(
        "route /x { handler libecho.so; }",
        ["1:20+10 error: \"libecho.so\" is the name of a file (write \"handler echo\")"]),
    Refusal(
        "route /x { handler echo.so; }",
        ["1:20+7 error: \"echo.so\" is the name of a file (write \"handler echo\")"]),
    Refusal(
        "route /x { handler; }",
        ["1:12+7 error: \"handler\" needs the name of a handler"]),
    Refusal(
        "route /x { handler a b; }",
        ["1:22+1 error: \"handler\" takes one value: the name of a handler"]),
    Refusal(
        "route /x { handler a; handler b; }",
        ["1:23+7 error: duplicate \"handler\" (first set at gateway.conf:1)"]),
    Refusal(
        "route /x { handler a { } }",
        ["1:22+1 error: \"handler\" does not take a block"]),
    Refusal(
        "route /x { handler é; }",
        ["1:20+1 error: \"é\" is no name of a handler (letters, digits, \"_\", \"-\" and \".\", at most 128)"]),
    Refusal(
        "route /x { handler h; set; }",
        ["1:23+3 error: \"set\" takes a key and a value (quote a value that has spaces)"]),
    Refusal(
        "route /x { handler h; set a; }",
        ["1:23+3 error: \"set\" takes a key and a value (quote a value that has spaces)"]),
    Refusal(
        "route /x { handler h; set a b c; }",
        ["1:31+1 error: \"set\" takes a key and a value (quote a value that has spaces)"]),
    Refusal(
        "route /x { handler h; set '' b; }",
        ["1:23+3 error: \"set\" takes a key and a value (quote a value that has spaces)"]),
    Refusal(
        "route /x { handler h; set a 1;\nset a 2; }",
        ["2:5+1 error: duplicate key \"a\" (first set at gateway.conf:1)"]),
    Refusal(
        "route /x { handler h; subprotocols; }",
        ["1:23+12 error: \"subprotocols\" needs at least one name"]),
    Refusal(
        "route /x { handler h; subprotocols a 'b c' a ''; }",
        [
            "1:38+5 error: \"b c\" is no name of a subprotocol (a token, without spaces or separators)",
            "1:44+1 error: duplicate subprotocol \"a\"",
            "1:46+2 error: \"\" is no name of a subprotocol (a token, without spaces or separators)",
        ]),
    Refusal(
        "route /x { handler h; compresion on; }",
        ["1:23+10 error: unknown directive \"compresion\" (did you mean \"compression\"?)"]),
    Refusal(
        "route /x { handler h; max_connections 0; }",
        ["1:39+1 error: \"0\" is out of range for \"max_connections\" (1 to 10000000)"]),
    Refusal(
        "route /x { handler h; max_message 1m; max_message 2m; }",
        ["1:39+11 error: duplicate \"max_message\" (first set at gateway.conf:1)"]),
]
