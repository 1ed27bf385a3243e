import GatewayConfiguration
import Testing

@Suite("Directives of other servers are told how they are said here")
struct FamiliarDirectiveTests {
    @Test(arguments: [
        ("ssl on;", "TLS belongs to a listener: listen 8443 tls { certificate cert.pem key.pem; }"),
        ("port 8080;", "It is written: listen 8080;"),
        ("location /chat { proxy_pass x; }", "It is written: route /path { handler NAME; }"),
        ("worker_processes 4;", "It is called threads: a worker is a thread with an event loop."),
        ("server { }", "There is no such block: listen, route and host stand at the top level."),
    ])
    func `by a note below the error`(_ text: String, _ note: String) {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.parse(complete(text), file: "gateway.conf")
        }
        #expect(error?.diagnostics.count == 1)
        #expect(error?.diagnostics.first?.notes == [note])
        let name = text.prefix { $0 != " " }
        #expect(error?.diagnostics.first?.message == "unknown directive \"\(name)\"")
    }

    @Test func `and in a route, too`() {
        let text = "listen 1; route /r { handler h; proxy_pass http://x; }"
        let error = #expect(throws: ConfigurationError.self) { try Configuration.parse(text, file: "gateway.conf") }
        #expect(error?.diagnostics.first?.notes.first?.hasPrefix("The gateway forwards to no other server") == true)
    }
}
