import GatewayLoad
import Testing

@Suite("RFC 6455 3, URLs")
struct DestinationTests {
    struct Case: CustomTestStringConvertible {
        let url: String
        let host: String
        let port: UInt16
        let path: String
        var testDescription: String { url }
    }

    @Test(arguments: [
        Case(url: "ws://127.0.0.1:8080/echo", host: "127.0.0.1", port: 8080, path: "/echo"),
        Case(url: "ws://localhost", host: "localhost", port: 80, path: "/"),
        Case(url: "ws://h:1?a=b", host: "h", port: 1, path: "/?a=b"),
        Case(url: "ws://[::1]:9000/a/b?c", host: "::1", port: 9000, path: "/a/b?c"),
        Case(url: "ws://[::1]/", host: "::1", port: 80, path: "/"),
        Case(url: "wss://localhost:8443/echo", host: "localhost", port: 8443, path: "/echo"),
        Case(url: "wss://h", host: "h", port: 443, path: "/"),
    ])
    func `a URL has a host, a port and a path`(_ given: Case) throws {
        let destination = try Destination(url: given.url)
        #expect(destination.host == given.host)
        #expect(destination.port == given.port)
        #expect(destination.path == given.path)
        #expect(destination.isSecure == given.url.hasPrefix("wss"))
    }

    @Test(arguments: [
        "", "foo", "http://h/", "https://h/", "wss://", "wss:/h", "ws://", "ws://:80/", "ws://h:/", "ws://h:0/",
        "ws://h:65536/", "ws://h:x/",
        "ws://h/#f", "ws://u@h/", "ws://[::1", "ws://::1/", "ws://[::1]x/", "ws://h/a b", "ws://h/\r\nX: y", "ws://h/é",
    ])
    func `what is no such URL is refused`(_ url: String) {
        #expect(throws: LoadUsageError.self) { try Destination(url: url) }
    }
}
