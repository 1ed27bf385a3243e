import GatewayControl
import Testing

@Suite("The console is a page with its files, and what the page asks each second")
struct ConsolePageTests {
    /// The name of the file that is at a path, or "state".
    private func asked(_ path: String, console: String) -> String? {
        switch ConsolePage(path: console).asked(at: Array(path.utf8)) {
        case .file(let file): file.name
        case .state: "state"
        case nil: nil
        }
    }

    @Test(arguments: [
        ("/", "/", "console/index.html"), ("/-/main.js", "/", "console/main.js"),
        ("/-/base.css", "/", "common/base.css"),
        ("/-/state", "/", "state"), ("/-/", "/", nil), ("/-/nothing.js", "/", nil), ("/main.js", "/", nil),
        ("/-/feed.js", "/", nil), ("/-", "/", nil), ("/tools/console", "/tools/console", "console/index.html"),
        ("/tools/console/-/state", "/tools/console", "state"), ("/tools/console/", "/tools/console", nil),
        ("/", "/tools/console", nil), ("/-/state", "/tools/console", nil),
    ])
    func `it has its path, and what is below`(path: String, console: String, wanted: String?) {
        #expect(asked(path, console: console) == wanted)
    }

    @Test func `the page finds its files wherever it is`() throws {
        let console = ConsolePage(path: "/tools")
        guard case .file(let file)? = console.asked(at: Array("/tools".utf8)) else {
            Issue.record("no page")
            return
        }
        let page = String(decoding: file.response(base: console.base).body, as: UTF8.self)
        #expect(page.contains("src=\"/tools/-/main.js\"") && !page.contains("@BASE@"))
    }

    @Test func `the state names routes, generations and who is with which`() {
        let route = ConsolePage.Route(
            pattern: "/rooms/:room", handler: "chat", unavailable: nil, generation: 4, connections: 3,
            shares: [.init(generation: 3, connections: 1), .init(generation: 4, connections: 2)])
        let gone = ConsolePage.Route(
            pattern: "/x", handler: "nowhere", unavailable: "no \"file\"", generation: nil, connections: 0)
        #expect(
            ConsolePage.state([route, gone], process: "1-2", version: "0.1", securePort: 8443)
                == #"{"process":"1-2","version":"0.1","secure_port":8443,"routes":[{"pattern":"/rooms/:room","#
                + #""handler":"chat","unavailable":null,"generation":4,"connections":3,"generations":["#
                + #"{"generation":3,"connections":1},{"generation":4,"connections":2}]},{"pattern":"/x","#
                + #""handler":"nowhere","unavailable":"no \"file\"","generation":null,"connections":0,"generations":[]}]}"#
        )
        let nothing = ConsolePage.state([], process: "", version: "")
        #expect(nothing == #"{"process":"","version":"","secure_port":null,"routes":[]}"#)
    }
}
