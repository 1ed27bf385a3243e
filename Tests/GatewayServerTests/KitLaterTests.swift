import TestSupport
import Testing

@Suite("The kit's posts, timers, work and late answers in a gateway")
struct KitLaterTests {
    private let gateway: TestGateway

    init() throws { gateway = try TestGateway(handler: "fixture_later_swift") }

    private func hear(_ client: TestClient) throws -> String { try client.receive().text }

    @Test func `posts, timers and work come back with the state`() throws {
        let client = try gateway.connect()
        for (number, command) in ["post", "after"].enumerated() {
            try client.send(command)
            #expect(try hear(client) == "\(number + 1)")
        }
        try client.send("work")
        #expect(try hear(client) == "7 2")
        try client.send("every")
        for number in 3...20 { #expect(try hear(client) == "\(number)") }
    }

    @Test(arguments: ["throw", "bad work"])
    func `what is thrown closes with 1011`(_ command: String) throws {
        let client = try gateway.connect()
        let other = try gateway.connect()
        try client.send(command)
        #expect(try client.receiveAll().last?.closeCode == 1011)
        try other.send("post")
        #expect(try hear(other) == "1")
    }

    @Test func `work hears that its connection has ended`() throws {
        let (client, other) = (try gateway.connect(), try gateway.connect())
        try client.send("wait")
        client.close()
        #expect(try hear(other) == "cancelled")
    }

    @Test func `a publication says how many it reaches`() throws {
        let members = try (0..<3).map { _ in try gateway.connect() }
        for member in members {
            try member.send("post")
            #expect(try hear(member) == "1")
        }
        try members[0].send("reach")
        #expect(try hear(members[0]) == "2")
        for member in members[1...] { #expect(try hear(member) == "all") }
    }

    @Test func `plain requests are answered later, once`() throws {
        let member = try gateway.connect()
        try member.send("post")
        #expect(try hear(member) == "1")
        let response = try TestClient(port: gateway.port).get("/probe")
        #expect(response.status == 200 && response.body == "later /probe")
        #expect(try hear(member) == "true false")
    }

    @Test(arguments: [("", "none"), ("v9, v2, v1", "v2"), ("v9", "none")])
    func `the subprotocol that was agreed upon is kept`(_ offer: String, _ agreed: String) throws {
        let gateway = try TestGateway(handler: "fixture_later_swift", route: "subprotocols v1 v2;")
        let client = try gateway.connect(headers: offer.isEmpty ? [] : ["Sec-WebSocket-Protocol: \(offer)"])
        try client.send("info")
        #expect(try hear(client) == agreed)
    }

    @Test func `handshakes are answered later`() throws {
        let clients = try ["yes", "no"].map { answer in
            let client = try TestClient(port: gateway.port)
            try client.send(TestClient.handshake("/probe?later=\(answer)"))
            return client
        }
        #expect(try TestClient(port: gateway.port).get("/probe?go").body == "gone")
        #expect(try clients[0].readHead().hasPrefix("HTTP/1.1 101"))
        try clients[0].send("post")
        #expect(try hear(clients[0]) == "101")
        #expect(try clients[1].response().status == 401)
    }
}
