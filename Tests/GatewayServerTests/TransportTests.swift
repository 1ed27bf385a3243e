import TestSupport
import Testing

@testable import GatewayServer

@Suite("Connections know their transport, not their socket: everything works through a layer between the two")
struct TransportTests {
    private func client(
        _ gateway: TestGateway, _ path: String = "/echo", receiveBuffer: Int32? = nil
    ) throws -> TestClient {
        try TestClient(port: gateway.port, open: path, receiveBuffer: receiveBuffer, key: ScramblingLayer.key)
    }

    private static let echo = "route /echo { handler echo; } route /pool { handler echo; dispatch pool; }"

    @Test("messages of all sizes come back as they went", arguments: ["/echo", "/pool"])
    func sizes(_ path: String) throws {
        let gateway = try TestGateway(
            defaults: "ping_interval off;", rest: Self.echo, options: ScramblingLayer.options)
        let client = try client(gateway, path)
        var random = SeededRandom(seed: 7)
        for round in 0..<20 {
            let burst = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                random.bytes(Int.random(in: 0...(round % 10 == 0 ? 60_000 : 400), using: &random))
            }
            try client.send(burst.flatMap { ClientFrame(2, $0).bytes })
            for (index, message) in burst.enumerated() {
                let frame = try client.receive()
                try #require(
                    frame == .init(2, message),
                    "round \(round), message \(index) of \(burst.map(\.count)): \(frame)")
            }
        }
        try client.sendClose(1000, "done")
        #expect(try client.receive() == .close(1000, "done"))
        try client.expectEnd()
    }

    @Test("what a peer does not read waits, and a handler that is told so hears `drained`")
    func slow() throws {
        let gateway = try TestGateway(route: "send_buffer 64k;", options: ScramblingLayer.options)
        let client = try client(gateway, "/probe", receiveBuffer: 4096)
        try client.send("fill:1:3000000")
        let plain = { try TestClient(port: gateway.port, key: ScramblingLayer.key) }
        #expect(try client.receive().payload.count == 3_000_000)
        #expect(try plain().get("/probe?until=drained&times=1").body.contains("1 drained"))
    }

    @Test("publications reach every member")
    func topics() throws {
        let gateway = try TestGateway(rest: "route /chat { handler chat; }", options: ScramblingLayer.options)
        let clients = try (0..<3).map { _ in try client(gateway, "/chat") }
        for client in clients {
            try client.send(ClientFrame(9))
            #expect(try client.receive() == TestClient.Frame(10))
        }
        for round in 0..<50 {
            try clients[round % 3].send("line \(round)")
            for client in clients { #expect(try client.receive().text.hasSuffix("]: line \(round)")) }
        }
    }

    @Test("what is true of a listener is true of its requests")
    func options() throws {
        let gateway = try TestGateway(options: ScramblingLayer.options)
        let client = try TestClient(port: gateway.port, key: ScramblingLayer.key)
        for _ in 0..<2 { #expect(try client.get("/probe?do=flags").body == "1") }
        let plain = try TestGateway()
        #expect(try TestClient(port: plain.port).get("/probe?do=flags").body == "0")
    }
}

@Suite("A layer at the end of a connection, turn by turn")
struct TransportTurnTests {
    @Test func `the last word of a layer waits for room, and the connection for it`() throws {
        let steps = try StepWorker()
        // 129 bytes are the answer to the handshake, 4 the Close.
        let peer = steps.open(window: 129 + 4 + 2, lastWord: "adieu")
        peer.sayClose(1000)
        steps.step()
        #expect(String(decoding: peer.heard().suffix(2), as: UTF8.self) == "ad")
        #expect(peer.phase == .ending && peer.isBlocked && !peer.isFinished)
        peer.widen(by: 1)
        steps.step()
        #expect(peer.response() == "i" && peer.phase == .ending)
        peer.widen(by: 2)
        steps.step()
        #expect(peer.response() == "eu" && peer.isFinished)
        #expect(peer.place == nil && steps.isDeserted)
    }

    @Test func `a last word that nobody takes is waited for no longer than close_timeout`() throws {
        let steps = try StepWorker(route: "close_timeout 320ms;")
        let peer = steps.open(window: 129 + 4, lastWord: "adieu")
        peer.sayClose(1000)
        steps.step()
        #expect(peer.phase == .ending)
        steps.step(ticks: 9)
        #expect(peer.phase == .ending)
        steps.step(ticks: 1)
        #expect(peer.place == nil && !peer.isFinished && steps.isDeserted)
    }
}
