import TestSupport
import Testing

@Suite("Every limit holds to the byte")
struct LimitsTests {
    @Test("max_frame and max_message: N bytes are taken, N + 1 are 1009", arguments: [99, 100, 101])
    func message(_ size: Int) throws {
        let gateway = try TestGateway(route: "max_message 100;")
        let payload = [UInt8](repeating: 7, count: size)
        let ways: [[ClientFrame]] = [
            [ClientFrame(2, payload)],
            [ClientFrame(2, Array(payload.prefix(50)), isFinal: false), ClientFrame(0, Array(payload.dropFirst(50)))],
            [ClientFrame(2, [], isFinal: false)] + payload.map { ClientFrame(0, [$0], isFinal: false) } + [
                ClientFrame(0)
            ],
        ]
        for frames in ways {
            let client = try gateway.connect()
            try client.send(frames.flatMap(\.bytes))
            let answer = try client.receive()
            if size <= 100 {
                #expect(answer == TestClient.Frame(2, payload))
            } else {
                #expect(answer.closeCode == 1009)
            }
        }
    }

    @Test("a large message arrives whole, in one frame or in many", arguments: [1 << 20, (1 << 20) - 1])
    func large(_ size: Int) throws {
        let gateway = try TestGateway()
        var random = SeededRandom(seed: 5)
        let payload = random.bytes(size)
        let whole = try gateway.connect()
        try whole.send(ClientFrame(2, payload).bytes + ClientFrame(1, Array("behind".utf8)).bytes)
        #expect(try whole.receive().payload == payload)
        #expect(try whole.receive() == .text("behind"))
        let cut = try gateway.connect()
        let half = size / 2
        try cut.send(ClientFrame(2, Array(payload[..<half]), isFinal: false))
        try cut.send(ClientFrame(9, [1]))
        try cut.send(ClientFrame(0, Array(payload[half...])))
        #expect(try cut.receive() == TestClient.Frame(10, [1]))
        #expect(try cut.receive().payload == payload)
    }

    @Test("max_head: a head of N bytes is read, one of N + 1 is 431", arguments: [511, 512, 513])
    func head(_ size: Int) throws {
        let gateway = try TestGateway(defaults: "max_head 512;")
        let client = try TestClient(port: gateway.port)
        let empty = TestClient.request("GET", "/probe", headers: ["X-Filler: "]).count
        try client.send(
            TestClient.request("GET", "/probe", headers: ["X-Filler: " + String(repeating: "x", count: size - empty)]))
        #expect(try client.response().status == (size <= 512 ? 200 : 431))
    }

    @Test("max_headers: N lines are read, N + 1 are 431", arguments: [9, 10, 11])
    func headers(_ count: Int) throws {
        let gateway = try TestGateway(defaults: "max_headers 10;")
        let client = try TestClient(port: gateway.port)
        // Host is one of them.
        try client.send(TestClient.request("GET", "/probe", headers: (1..<count).map { "X-\($0): y" }))
        #expect(try client.response().status == (count <= 10 ? 200 : 431))
    }

    @Test("max_connections of a route: N are let in, the next one is 503 until one has left")
    func routeConnections() throws {
        let gateway = try TestGateway(route: "max_connections 2;")
        var clients = try [gateway.connect(), gateway.connect()]
        try expectRefusal(gateway)
        try clients[0].sendClose(1000)
        try clients[0].expectEnd()
        try clients.append(connectEventually(gateway))
        try expectRefusal(gateway)
    }

    @Test("max_connections of a route does not count those who were refused")
    func refusalsAreNotCounted() throws {
        let gateway = try TestGateway(route: "max_connections 2; reply_timeout 40ms;")
        for query in ["?upgrade=reject", "?upgrade=fail", "?upgrade=teapot", "?upgrade=held"] {
            for _ in 0..<3 {
                let client = try TestClient(port: gateway.port)
                try client.send(TestClient.handshake("/probe" + query))
                #expect(try client.response().word != "too-many-connections")
            }
        }
        let clients = try [gateway.connect(), gateway.connect()]
        try expectRefusal(gateway)
        withExtendedLifetime(clients) {}
    }

    @Test("max_connections of the gateway, over all workers and connections")
    func allConnections() throws {
        let gateway = try TestGateway(defaults: "max_connections 3;")
        var clients = try [gateway.connect(), gateway.connect(), gateway.connect()]
        try expectRefusal(gateway)
        clients.removeFirst()
        try clients.append(connectEventually(gateway))
        // Whoever was too many is not kept.
        let surplus = try TestClient(port: gateway.port)
        #expect(try surplus.get("/probe").word == "too-many-connections")
        try surplus.expectEnd()
        withExtendedLifetime(clients) {}
    }

    private func expectRefusal(_ gateway: TestGateway) throws {
        let client = try TestClient(port: gateway.port)
        try client.send(TestClient.handshake("/probe"))
        let response = try client.response()
        #expect(response.status == 503 && response.word == "too-many-connections")
    }

    /// A slot is free when the gateway has noticed that its peer is gone.
    private func connectEventually(_ gateway: TestGateway) throws -> TestClient {
        for _ in 0..<10_000 {
            if let client = try? gateway.connect() { return client }
        }
        return try gateway.connect()
    }

    @Test("handshake_timeout: bytes that trickle in do not extend it")
    func trickle() throws {
        let gateway = try TestGateway(defaults: "handshake_timeout 100ms;")
        let client = try TestClient(port: gateway.port)
        let head = TestClient.request("GET", "/probe", headers: ["X-Filler: " + String(repeating: "x", count: 8000)])
        var sent = 0
        while !client.socket.hears(within: 5), sent < head.count {
            try client.send([head[sent]])
            sent += 1
        }
        #expect(sent < head.count)
        #expect(try client.response().status == 408)
    }

    @Test("10 connections on 2 workers: none has more than 6")
    func spread() throws {
        let gateway = try TestGateway(threads: 2)
        let clients = try (0..<10).map { _ in try gateway.connect() }
        let record = try gateway.record(until: "open", times: 10)
        for worker in 0...1 { #expect(record.filter { $0.hasSuffix("worker \(worker)") }.count <= 6) }
        withExtendedLifetime(clients) {}
    }
}
