import TestSupport
import Testing

@Suite("The kit's imperative flavour in a gateway")
struct KitImperativeTests {
    private func gateway(_ route: String = "", threads: Int = 2) throws -> TestGateway {
        try TestGateway(handler: "fixture_imperative_swift", route: route, threads: threads)
    }

    private func ask(_ client: TestClient, _ text: String) throws -> String {
        try client.send(text)
        return try client.receive().text
    }

    @Test func `frames come in order, as what they are`() throws {
        let gateway = try gateway()
        let client = try gateway.connect()
        try client.send((0..<500).flatMap { ClientFrame(1, Array("\($0)".utf8)).bytes })
        for number in 0..<500 { #expect(try client.receive() == TestClient.Frame(1, Array("\(number)".utf8))) }
        try client.send(ClientFrame(2, [0, 255, 128]))
        #expect(try client.receive() == TestClient.Frame(2, [0, 255, 128]))
        try client.send(ClientFrame(9, [1, 2]))
        #expect(try client.receive() == TestClient.Frame(10, [1, 2]), "pongs are the loop's own business")
    }

    @Test(arguments: [
        ("sleep", "slept true"), ("work", "7 true true"), ("timeout", "timedOut true"), ("try", "nothing"),
        ("race", "tired"), ("children", "3 true"), ("post", "posted"), ("draining", "false 1"),
    ])
    func `waits for what it asked for, on its own thread`(_ command: String, _ answer: String) throws {
        let gateway = try gateway()
        let client = try gateway.connect()
        for _ in 0..<10 { #expect(try ask(client, command) == answer) }
        #expect(try ask(client, "still there") == "still there")
    }

    @Test func `reads within a time, and beside another task`() throws {
        let gateway = try gateway()
        let client = try gateway.connect()
        for command in ["next", "race"] {
            try client.send(ClientFrame(1, Array(command.utf8)).bytes + ClientFrame(1, Array("x".utf8)).bytes)
            #expect(try client.receive().text == (command == "next" ? "next x" : "x"))
        }
        // One that waits does not take what is for the next one once it has been given up.
        for number in 0..<20 {
            #expect(try ask(client, "race") == "tired")
            #expect(try ask(client, "\(number)") == "\(number)")
        }
    }

    @Test(arguments: [("throw", 1011), ("bad work", 1011), ("return", 1000), ("close", 4000)])
    func `its end is the connection's`(_ command: String, _ code: Int) throws {
        let gateway = try gateway()
        let (client, other) = (try gateway.connect(), try gateway.connect())
        #expect(try ask(other, "a") == "a")
        try client.send(command)
        #expect(try client.receiveAll().last?.closeCode == UInt16(code))
        client.close()
        if command == "close" { #expect(try other.receive().text == "ended 4000 true") }
        if command == "return" { #expect(try other.receive().text == "ended 0 false") }
        #expect(try ask(other, "b") == "b")
    }

    @Test func `frames end with the connection, by an error when it broke`() throws {
        let gateway = try gateway()
        let (client, other, third) = (try gateway.connect(), try gateway.connect(), try gateway.connect())
        #expect(try ask(other, "a") == "a")
        #expect(try ask(third, "a") == "a")
        try client.send(ClientFrame(1, Array("last".utf8)).bytes + ClientFrame(8, [0x03, 0xE8]).bytes)
        #expect(try client.receiveAll() == [TestClient.Frame(1, Array("last".utf8)), .close(1000)])
        #expect(try other.receive().text == "ended 1000 true")
        #expect(try third.receive().text == "ended 1000 true")
        third.close()
        #expect(try other.receive().text == "lost 1006")
    }

    @Test(arguments: [("sleep long", "woken true", "ended 1000 true"), ("wait", "cancelled", "ended 1000 true")])
    func `whatever it waits for ends with the connection`(_ command: String, _ news: String, _ end: String) throws {
        let gateway = try gateway()
        let (client, other) = (try gateway.connect(), try gateway.connect())
        #expect(try ask(other, "a") == "a")
        try client.send(ClientFrame(1, Array(command.utf8)).bytes + ClientFrame(8, [0x03, 0xE8]).bytes)
        #expect(try client.receiveAll() == [.close(1000)])
        client.close()
        #expect(try other.receive().text == news)
        #expect(try other.receive().text == end)
    }

    @Test func `who sends faster than it reads is held back, and nothing is lost`() throws {
        let gateway = try gateway(threads: 1)
        let client = try gateway.connect()
        try client.send("wait")
        let payload = [UInt8](repeating: 7, count: 16384)
        let flood = ClientFrame(2, payload).bytes
        var sent = 0
        // The peer's socket fills up, since nobody reads at the other end.
        while client.socket.takes(within: 500), sent < 200_000 {
            try client.send(flood)
            sent += 1
        }
        #expect(sent > 64 && sent < 200_000)
        // Others are served meanwhile.
        let other = try gateway.connect()
        #expect(try ask(other, "a") == "a")
        _ = try TestClient(port: gateway.port).get("/probe")
        #expect(try client.receive().text == "waited")
        for _ in 0..<sent {
            let frame = try client.receive()
            guard frame.payload == payload else {
                Issue.record("\(frame.payload.count) bytes")
                return
            }
        }
    }

    @Test func `what it does behind the end is waited for when the gateway stops`() throws {
        let gateway = try gateway()
        let (client, other) = (try gateway.connect(), try gateway.connect())
        #expect(try ask(other, "a") == "a")
        try client.send(ClientFrame(1, Array("linger".utf8)).bytes + ClientFrame(8, [0x03, 0xE8]).bytes)
        #expect(try client.receiveAll() == [.close(1000)])
        client.close()
        #expect(try other.receive().text == "ended 1000 true")
        _ = try TestClient(port: gateway.port).get("/probe")
        #expect(try other.receive().text == "lingered true")
        gateway.stop()
    }

    @Test func `it ends in good order when the gateway stops under many`() throws {
        let gateway = try gateway()
        let clients = try (0..<50).map { _ in try gateway.connect() }
        for (number, client) in clients.enumerated() {
            try client.send(["a", "sleep long", "linger"][number % 3])
        }
        #expect(try ask(clients[0], "b") == "a")
        _ = try TestClient(port: gateway.port).get("/probe")
        gateway.stop()
        for client in clients { #expect(try client.receiveAll().last?.closeCode == 1001) }
    }
}
