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

            LIMIT            VALUE  SET BY

            """
        #expect(found.text.hasPrefix(head))
        for line in [
            "max_body         2k     /g/g.conf:4", "reload           drain  /g/g.conf:4",
            "max_message      1m     default",
        ] { #expect(found.text.contains("\n" + line + "\n")) }
        #expect(try explanation("/echo", Self.text).text.contains("\nmax_body         1k     /g/g.conf:2\n"))
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
