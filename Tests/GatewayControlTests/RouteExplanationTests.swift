import GatewayConfiguration
import GatewayControl
import Testing

@Suite("gateway explain")
struct RouteExplanationTests {
    private func explanation(_ path: String, _ text: String) throws -> RouteExplanation {
        RouteExplanation(of: path, in: try Configuration.parse(text, file: "/g/g.conf").configuration)
    }

    private static let text = """
        listen 1; console /;
        defaults { max_body 1k; }
        route /echo { handler echo; }
        route /rooms/:room/* { handler chat; set history 50; subprotocols a b; max_body 2k; reload drain; }
        """

    @Test func `a route with its parameters and where each limit comes from`() throws {
        let found = try explanation("/x/../rooms/caf%c3%a9/a%2Fb?q=1", Self.text)
        #expect(found.isFound)
        let head = """
            path          /x/../rooms/caf%c3%a9/a%2Fb, which is /rooms/caf%C3%A9/a%2Fb
            route         /rooms/:room/*  (/g/g.conf:4)
            handler       chat
            :room         café
            *             a/b
            set           history 50
            subprotocols  a b
            answer        what the handler decides: 101 for a WebSocket upgrade it accepts


            """
        #expect(found.text.hasPrefix(head))
        // How wide the columns are is another matter.
        func rows(_ text: String) -> [[Substring]] { text.split(separator: "\n").map { $0.split(separator: " ") } }
        #expect(rows(found.text).contains(["LIMIT", "VALUE", "SET", "BY"]))
        for row in [
            ["max_body", "2k", "/g/g.conf:4"], ["reload", "drain", "/g/g.conf:4"], ["max_message", "1m", "default"],
            ["origin", "same-host", "default"], ["allow", "all", "default"],
        ] { #expect(rows(found.text).contains(row.map { $0[...] })) }
        #expect(rows(try explanation("/echo", Self.text).text).contains(["max_body", "1k", "/g/g.conf:2"]))
        #expect(rows(found.text).contains(["max_connections,", "all", "routes", "100000", "default"]))
        for row in [
            ["max_connections_per_ip,", "all", "routes", "off", "default"],
            ["handshake_timeout,", "all", "routes", "10s", "default"],
            ["max_head,", "all", "routes", "16k", "default"],
            ["max_headers,", "all", "routes", "100", "default"], ["max_memory,", "all", "routes", "off", "default"],
        ] { #expect(rows(found.text).contains(row.map { $0[...] })) }
    }

    @Test func `limits that hold for all routes together`() throws {
        let text = Self.text.replacing("max_body 1k;", with: "max_connections_per_ip 7; handshake_rate 2/s burst 9;")
        let found = try explanation("/echo", text).text.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(found.contains(["max_connections_per_ip,", "all", "routes", "7", "/g/g.conf:2"]))
        #expect(found.contains(["handshake_rate,", "all", "routes", "2/s", "burst", "9", "/g/g.conf:2"]))
    }

    @Test(arguments: [
        ("/nowhere", "404 no-route"), ("nowhere", "400"), ("", "404 no-route"), ("/%zz", "400"),
        ("/echo/", "404 no-route"),
    ])
    func `no route`(_ path: String, _ answer: String) throws {
        let found = try explanation(path, Self.text.replacing("console /", with: "console /c"))
        #expect(!found.isFound)
        #expect(found.text.contains("answer  \(answer)"))
    }

    @Test(arguments: [
        ("echo", #"400: paths begin with "/" (did you mean "/echo"?)"#), ("chat", #"400: paths begin with "/""#),
    ])
    func `a path without its slash`(_ path: String, _ answer: String) throws {
        let found = try explanation(path, Self.text)
        #expect(!found.isFound)
        #expect(found.text == "path    \(path)\nanswer  \(answer)\n")
    }

    @Test func `the console is something`() throws {
        let found = try explanation("/", Self.text)
        #expect(found.isFound)
        #expect(found.text.contains("the built-in console"))
    }
}

extension RouteExplanationTests {
    private static let hosts = """
        listen 1; console off; route /ws { handler outside; origin https://a.example required; }
        host api.example.com { route /ws { handler api; } }
        host *.example.com { route /ws { handler below; } route /own { handler below; } }
        """

    private func explanation(_ path: String, _ headers: [String: String] = [:]) throws -> RouteExplanation {
        RouteExplanation(
            of: path, headers: headers.map { ($0.key, $0.value) },
            in: try Configuration.parse(Self.hosts, file: "/g/g.conf").configuration)
    }

    @Test func `a host has routes of its own`() throws {
        let found = try explanation("/ws", ["Host": "api.example.com:8080"])
        #expect(found.text.contains("\nroute    api.example.com/ws  (/g/g.conf:2)\nhandler  api\n"))
        #expect(try explanation("/own", ["host": "x.example.com"]).text.contains("*.example.com/own"))
        #expect(try explanation("/ws", ["Host": "evil.example"]).text.contains("handler  outside"))
        #expect(try !explanation("/own", ["Host": "evil.example"]).isFound)
    }

    @Test func `without a host those of hosts are named`() throws {
        let found = try explanation("/ws")
        #expect(found.isFound)
        #expect(found.text.contains("handler     outside\n"))
        #expect(found.text.contains("api.example.com/ws  (/g/g.conf:2); see it with -H 'Host: api.example.com'"))
        #expect(found.text.contains("*.example.com/ws  (/g/g.conf:3); see it with -H 'Host: any.example.com'"))
        let missing = try explanation("/own")
        #expect(!missing.isFound && missing.text.contains("see it with -H 'Host: any.example.com'"))
    }

    @Test func `an origin is judged`() throws {
        let refused = "403 origin-not-allowed to a WebSocket upgrade, which wants: origin https://a.example required"
        #expect(try explanation("/ws").text.contains(refused))
        #expect(try explanation("/ws", ["Origin": "https://b.example"]).text.contains(refused))
        #expect(try explanation("/ws", ["Origin": "https://a.example"]).text.contains("101 for a WebSocket"))
        let own = ["Host": "api.example.com", "Origin": "https://api.example.com"]
        #expect(try explanation("/ws", own).text.contains("101 for a WebSocket"))
    }
}
