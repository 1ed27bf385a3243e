import GatewayServer
import TestSupport
import Testing

@Suite("dispatch pool: upgrade, open and http may block as well")
struct WorkerPoolingRequestsTests {
    /// Sends a handshake whose answer takes its time.
    private func begin(_ gateway: TestGateway, _ query: String) throws -> TestClient {
        let client = try TestClient(port: gateway.port)
        try client.send(TestClient.handshake("/probe?\(query)"))
        return client
    }

    @Test(
        "an upgrade that blocks is answered as it returns",
        arguments: [("", 101), ("&reject=1", 403), ("&fail=1", 500)])
    func upgrade(_ how: String, _ status: Int) throws {
        let gateway = try TestGateway.blocking()
        let gate = try Gate()
        let client = try begin(gateway, "upgrade=\(gate.text)\(how)")
        try gate.entered()
        #expect(try gateway.connect().say("a") == "1 1 a")
        gate.release()
        #expect(try client.readHead().hasPrefix("HTTP/1.1 \(status) "))
        if status == 101 { #expect(try client.say("b") == "1 1 b") }
    }

    @Test("an upgrade may answer and go on: open() comes behind it")
    func answered() throws {
        let gateway = try TestGateway.blocking()
        let (upgrade, open) = (try Gate(), try Gate())
        let client = try begin(gateway, "answered=\(upgrade.text)&open=\(open.text)")
        #expect(try client.readHead().hasPrefix("HTTP/1.1 101 "))
        try upgrade.entered()
        try client.send("a")
        #expect(open.isEmpty)
        upgrade.release()
        try open.entered()
        open.release()
        #expect(try client.hear() == "1 1 a")
        #expect(try gateway.isIntact(live: 1))
    }

    @Test("one that blocks for too long is answered 504, and its own answer comes too late")
    func timeout() throws {
        let gateway = try TestGateway.blocking(route: "reply_timeout 64ms;")
        let gate = try Gate()
        let client = try begin(gateway, "upgrade=\(gate.text)")
        #expect(try client.response().word == "reply-timeout")
        client.close()
        gate.release()
        #expect(try gateway.isIntact())
    }

    @Test("a client that leaves meanwhile leaves nothing behind", arguments: ["upgrade", "answered", "open"])
    func leaving(_ place: String) throws {
        let gateway = try TestGateway.blocking()
        let gate = try Gate()
        let client = try begin(gateway, "\(place)=\(gate.text)")
        try gate.entered()
        client.reset()
        #expect(try gateway.connect().say("a") == "1 1 a")
        gate.release()
        #expect(try gateway.isIntact())
    }

    @Test("plain requests block only their own connection, and keep it alive")
    func plain() throws {
        let gateway = try TestGateway.blocking()
        let gate = try Gate()
        let client = try TestClient(port: gateway.port)
        try client.send(
            TestClient.request("POST", "/probe?wait=\(gate.text)", headers: ["Content-Length: 4"], body: "body"))
        try gate.entered()
        #expect(try gateway.check() == "1 broken 0 live 0 body 0")
        gate.release()
        #expect(try client.response().body == "1 broken 0 live 0 body 4")
        #expect(try client.get("/probe").body == "1 broken 0 live 0 body 0")
        #expect(try client.get("/loop").body == "1 broken 0 live 0 body 0")
    }

    @Test("stop waits for a request that blocks")
    func stopping() throws {
        let gateway = try TestGateway.blocking()
        let gate = try Gate()
        let client = try TestClient(port: gateway.port)
        try client.send(TestClient.request("GET", "/probe?wait=\(gate.text)"))
        try gate.entered()
        gateway.beginStopping()
        gate.release()
        #expect(try client.response().status == 200)
        gateway.stop()
    }
}
