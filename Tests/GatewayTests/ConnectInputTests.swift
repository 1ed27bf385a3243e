import Testing
import gateway

@Suite("What is typed at gateway connect")
struct ConnectInputTests {
    @Test(
        arguments: [
            ("hello", .text("hello")), (" /ping", .text(" /ping")), ("//ping", .text("/ping")), ("", .text("")),
            ("/ping", .ping([])), ("/ping a b", .ping(Array("a b".utf8))), ("/hex 00fF 2a", .binary([0, 255, 42])),
            ("/hex", .binary([])), ("/close", .close(code: 1000, reason: "")),
            ("/quit", .close(code: 1000, reason: "")),
            ("/close 1001 bye bye", .close(code: 1001, reason: "bye bye")),
            ("/close 4999", .close(code: 4999, reason: "")),
            ("/file a b.txt", .file("a b.txt")), ("/pings on", .showPings(true)), ("/help", .help),
        ] as [(String, ConnectInput)])
    func `means`(_ line: String, _ input: ConnectInput) {
        #expect(ConnectInput(line) == input)
    }

    @Test(arguments: [
        "/hex 0", "/hex xx", "/close 1005", "/close 999", "/close bye", "/close 70000", "/pnig", "/", "/file",
        "/ping \(String(repeating: "x", count: 126))", "/close 1000 \(String(repeating: "x", count: 124))", "/pings",
    ])
    func `is a mistake that is told`(_ line: String) {
        guard case .mistake(let sentence) = ConnectInput(line) else {
            Issue.record("\(line) is taken")
            return
        }
        #expect(!sentence.isEmpty)
    }

    @Test(arguments: [
        (":8080/chat", "ws://localhost:8080/chat"), ("localhost:1/x", "ws://localhost:1/x"), ("http://a/b", "ws://a/b"),
        ("https://a", "wss://a"), ("ws://a", "ws://a"), ("wss://a", "wss://a"), ("ftp://a", "ftp://a"),
    ])
    func `a URL is completed`(_ typed: String, _ url: String) {
        #expect(ConnectURL.completed(typed) == url)
    }
}
