import Synchronization
import TestSupport
import Testing

@testable import GatewayServer

@Suite("ConnectionTimers: only a matching pong counts, and a peer that cannot answer yet is not given up")
struct ConnectionTimersTests {
    private static let eager = "ping_interval 40ms; pong_timeout 1s; close_timeout 50ms;"

    @Test("a peer that answers is kept, however idle it is")
    func answers() throws {
        let gateway = try TestGateway(route: Self.eager)
        let client = try gateway.connect()
        // Longer than pong_timeout altogether.
        for _ in 0..<40 {
            let ping = try client.receive()
            #expect(ping.opcode == 9)
            try client.send(ClientFrame(10, ping.payload))
        }
        #expect(try gateway.record().endings.isEmpty)
    }

    @Test("pongs that nobody asked for, and messages, prove nothing")
    func mismatches() throws {
        let gateway = try TestGateway(route: Self.eager)
        let client = try gateway.connect()
        var last = try client.receive()
        while last.opcode == 9 {
            try client.send(ClientFrame(10, Array("wrong".utf8)))
            try client.send("message")
            #expect(try client.receive() == .text("message"))
            last = try client.receive()
        }
        #expect(last.closeCode == 1011)
    }

    @Test("a pong that the gateway does not read cannot be late")
    func readingOff() throws {
        let gateway = try TestGateway(route: Self.eager)
        let client = try gateway.connect()
        try client.send("reading:0")
        let ping = try client.receive()
        #expect(ping.opcode == 9)
        try client.send(ClientFrame(10, ping.payload))
        while client.socket.hears(within: 1500) { #expect(try client.receive().opcode == 9) }
        let other = try gateway.connect()
        try other.send("reading-others:1")
        try client.send("here")
        var answer = try client.receive()
        while answer.opcode == 9 { answer = try client.receive() }
        #expect(answer == .text("here"))
    }

    @Test("RFC 6455 5.4: nothing can be said inside a frame; a peer whose frame comes slowly is kept")
    func slowUpload() throws {
        let gateway = try TestGateway(route: Self.eager)
        let client = try gateway.connect()
        let bytes = ClientFrame(2, Array(repeating: 1, count: 60)).bytes
        for byte in bytes.dropLast() {
            try client.send([byte])
            if client.socket.hears(within: 25) { #expect(try client.receive().opcode == 9) }
        }
        try client.send([bytes[bytes.count - 1]])
        var answer = try client.receive()
        while answer.opcode == 9 { answer = try client.receive() }
        #expect(answer.payload.count == 60)
    }
}

@Suite("ConnectionTimers: idle_timeout counts messages, whatever pings do")
struct IdleTimeoutTests {
    @Test("a peer that answers pings and says nothing else is closed")
    func pongsAreNoMessages() throws {
        let gateway = try TestGateway(
            route: "ping_interval 40ms; pong_timeout 10s; idle_timeout 400ms; close_timeout 50ms;")
        let client = try gateway.connect()
        var frame = try client.receive()
        while frame.opcode == 9 {
            try client.send(ClientFrame(10, frame.payload))
            frame = try client.receive()
        }
        #expect(frame == .close(1001, "idle timeout"))
    }

    @Test("one that sends pings of its own is closed as well")
    func pingsAreNoMessages() throws {
        let gateway = try TestGateway(route: "ping_interval off; idle_timeout 400ms; close_timeout 50ms;")
        let client = try gateway.connect()
        var frame = TestClient.Frame(10)
        while frame.opcode == 10 {
            try client.send(ClientFrame(9))
            frame = try client.receive()
        }
        #expect(frame == .close(1001, "idle timeout"))
    }
}

/// A tick is 32 ms, and each limit here is ten of them.
@Suite("Connection timers, turn by turn")
struct ConnectionTimersTurnTests {
    private static let limit = "320ms"

    private func start(_ route: String = "", handler: String = "fixture_probe") throws -> StepWorker {
        try StepWorker(
            handler: handler, route: route, rest: "defaults { handshake_timeout \(Self.limit); ping_interval off; }")
    }

    /// Lets nine ticks pass, in which nothing is told, and then the tenth.
    private func pass(_ steps: StepWorker, _ peer: StepWorker.Peer) {
        let phase = peer.phase
        steps.step(ticks: 9)
        #expect(peer.heard().isEmpty && peer.phase == phase && !peer.isFinished)
        steps.step(ticks: 1)
    }

    @Test(arguments: [
        ("GET /echo HT", "408", "request-timeout: the request took too long\n"),
        (
            "POST /echo?do=body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbod", "408",
            "request-timeout: the body took too long\n"
        ),
    ])
    func `a request that is not whole in time is told so`(request: String, status: String, end: String) throws {
        let steps = try start()
        let peer = steps.connect(saying: request)
        steps.step()
        pass(steps, peer)
        let said = peer.response()
        #expect(said.hasPrefix("HTTP/1.1 \(status) ") && said.hasSuffix(end))
        #expect(peer.phase == .lingering && peer.isFinished)
    }

    @Test func `bytes that trickle in do not prolong the time of a request`() throws {
        let steps = try start()
        let peer = steps.connect(saying: "GET /echo HTTP/1.1\r\n")
        for _ in 0..<9 {
            steps.step(ticks: 1)
            peer.say(Array("x".utf8))
        }
        #expect(peer.heard().isEmpty)
        steps.step(ticks: 1)
        #expect(peer.response().hasPrefix("HTTP/1.1 408 "))
    }

    @Test func `a peer that says nothing is owed nothing`() throws {
        let steps = try start()
        let peer = steps.connect()
        pass(steps, peer)
        #expect(peer.place == nil && peer.heard().isEmpty && steps.isDeserted)
    }

    @Test func `after an answer the time of a handshake begins again`() throws {
        let steps = try start()
        let peer = steps.connect()
        steps.step(ticks: 9)
        peer.say(TestClient.request("GET", "/echo?do=flags"))
        steps.step()
        #expect(peer.response().hasPrefix("HTTP/1.1 200 "))
        pass(steps, peer)
        #expect(peer.place == nil)
    }

    @Test(arguments: ["/echo?upgrade=held", "/echo?do=hold"])
    func `a handler that does not answer in time is answered for`(path: String) throws {
        let steps = try start("reply_timeout \(Self.limit);")
        let isUpgrade = path.contains("upgrade")
        let request = isUpgrade ? TestClient.handshake(path) : TestClient.request("GET", path)
        let peer = steps.connect(saying: String(decoding: request, as: UTF8.self))
        steps.step()
        #expect(peer.phase == .answering)
        pass(steps, peer)
        let said = peer.response()
        #expect(said.hasPrefix("HTTP/1.1 504 "))
        #expect(said.hasSuffix("reply-timeout: the handler did not answer in time\n"))
        // It counts as the handler's failure, and its answer comes too late.
        #expect(steps.binding().pointee.failures.load(ordering: .relaxed) == 1)
        #expect(steps.binding().pointee.references.load(ordering: .relaxed) == 0)
        #expect(steps.route().connections.load(ordering: .relaxed) == 0)
        _ = steps.get("/echo?do=answer")
        #expect(peer.heard().isEmpty)
    }

    @Test func `a message postpones the end of an idle connection, a ping does not`() throws {
        let steps = try start("idle_timeout \(Self.limit);", handler: "echo")
        let peer = steps.open()
        _ = peer.frames()
        steps.step(ticks: 9)
        peer.say("a")
        steps.step()
        #expect(peer.frames() == [.text("a")])
        steps.step(ticks: 9)
        peer.say(ClientFrame(9))
        steps.step()
        #expect(peer.frames() == [TestClient.Frame(10)])
        steps.step(ticks: 1)
        #expect(peer.frames() == [.close(1001, "idle timeout")])
        #expect(peer.phase == .closing)
    }

    @Test func `a ping is sent at each interval, and pongs keep the peer`() throws {
        let steps = try start("ping_interval \(Self.limit); pong_timeout 160ms;", handler: "echo")
        let peer = steps.open()
        _ = peer.frames()
        for _ in 0..<3 {
            pass(steps, peer)
            let pings = peer.frames()
            #expect(pings.map(\.opcode) == [9] && pings.first?.payload.count == 8)
            steps.step(after: 7)
            peer.say(ClientFrame(10, pings.first?.payload ?? []))
            steps.step()
            // By the clock of the turn, of which there are more where another thread has something for the worker.
            let entry = try #require(peer.id?.slot)
            let roundTrip = steps.worker.port.sharedTable[entry].roundTripMicroseconds.load(ordering: .relaxed)
            #expect((7000...7010).contains(roundTrip))
            #expect(peer.phase == .open)
            // Back to where a tick begins.
            steps.step(after: 25)
            #expect(peer.frames().isEmpty)
            steps.step(ticks: 9)
            let next = peer.frames()
            #expect(next.map(\.opcode) == [9])
            peer.say(ClientFrame(10, next.first?.payload ?? []))
            steps.step()
        }
    }

    @Test(arguments: [nil, ClientFrame(10), ClientFrame(10, [1, 2, 3, 4, 5, 6, 7, 8]), ClientFrame(1, [0x68])])
    func `nothing but the pong keeps a peer`(frame: ClientFrame?) throws {
        let steps = try start("ping_interval \(Self.limit); pong_timeout \(Self.limit);")
        let peer = steps.open()
        _ = peer.frames()
        pass(steps, peer)
        #expect(peer.frames().map(\.opcode) == [9])
        if let frame { peer.say(frame) }
        steps.step()
        _ = peer.frames()
        pass(steps, peer)
        #expect(peer.frames() == [.close(1011, "pong timeout")])
        #expect(peer.phase == .closing)
        #expect(steps.record().contains("1 error -1 no pong within pong_timeout"))
    }

    @Test func `without pong_timeout a ping is only sent`() throws {
        let steps = try start("ping_interval \(Self.limit); pong_timeout off;", handler: "echo")
        let peer = steps.open()
        _ = peer.frames()
        for _ in 0..<4 {
            pass(steps, peer)
            #expect(peer.frames().map(\.opcode) == [9])
        }
    }

    @Test func `a pong that is not read cannot be late`() throws {
        let steps = try start("ping_interval \(Self.limit); pong_timeout \(Self.limit);")
        let peer = steps.open()
        _ = peer.frames()
        peer.say("reading:0")
        steps.step(ticks: 10)
        let ping = try #require(peer.frames().last)
        peer.say(ClientFrame(10, ping.payload))
        steps.step(ticks: 30)
        #expect(peer.phase == .open && peer.frames().isEmpty)
        let id = try #require(peer.id)
        #expect(steps.host().setReading(id.number, true) == 0)
        steps.step()
        pass(steps, peer)
        #expect(peer.frames().map(\.opcode) == [9], "the pong was read, and the next ping is due")
    }

    @Test func `a frame that comes slowly excuses the pong, one that stands still does not`() throws {
        let steps = try start("ping_interval \(Self.limit); pong_timeout \(Self.limit);")
        let peer = steps.open()
        _ = peer.frames()
        peer.say(Array(ClientFrame(2, [UInt8](repeating: 1, count: 600)).bytes.prefix(500)))
        steps.step(ticks: 10)
        #expect(peer.frames().map(\.opcode) == [9])
        for _ in 0..<3 {
            steps.step(ticks: 9)
            peer.say([1])
            steps.step(ticks: 1)
            #expect(peer.phase == .open && peer.frames().isEmpty)
        }
        steps.step(ticks: 9)
        #expect(peer.phase == .open)
        steps.step(ticks: 1)
        #expect(peer.frames() == [.close(1011, "pong timeout")])
    }

    @Test func `a peer that does not answer our Close is torn down after close_timeout`() throws {
        let steps = try start("close_timeout \(Self.limit);")
        let peer = steps.open()
        peer.say("close:4000")
        steps.step()
        #expect(peer.frames() == [.close(4000)])
        pass(steps, peer)
        #expect(peer.place == nil && steps.isDeserted)
        #expect(steps.record().endings == ["1 close 4000 by 2 reason  sends -1"])
    }

    @Test func `one that does not even read it is torn down as well`() throws {
        let steps = try start("close_timeout \(Self.limit);")
        let peer = steps.open(window: 200)
        _ = peer.heard()
        peer.say(ClientFrame(1, [UInt8](repeating: 0x78, count: 250)).bytes + ClientFrame(1, [0xFF]).bytes)
        steps.step()
        #expect(peer.phase == .ending && peer.isBlocked)
        _ = peer.heard()
        pass(steps, peer)
        #expect(peer.place == nil && steps.isDeserted)
    }

    @Test func `output that nobody takes ends the connection after write_timeout, without a Close`() throws {
        let steps = try start("write_timeout \(Self.limit); send_buffer 1m;")
        let peer = steps.open(window: 1000)
        _ = peer.heard()
        peer.say("fill:1:5000")
        steps.step()
        #expect(peer.isBlocked)
        _ = peer.heard()
        pass(steps, peer)
        #expect(peer.place == nil && steps.isDeserted)
        #expect(steps.route().costs.writeTimeouts.load(ordering: .relaxed) == 1)
        #expect(steps.record().endings == ["1 close 1006 by 3 reason  sends -1"])
    }

    @Test func `a peer that takes a byte now and then is slow, and not gone`() throws {
        let steps = try start("write_timeout \(Self.limit); send_buffer 1m;")
        let peer = steps.open(window: 1000)
        peer.say("fill:1:5000")
        steps.step()
        for _ in 0..<5 {
            steps.step(ticks: 9)
            peer.widen(by: 1)
        }
        #expect(peer.phase == .open && peer.isBlocked)
        // It is looked at, and has moved.
        steps.step(ticks: 1)
        _ = peer.heard()
        pass(steps, peer)
        #expect(peer.place == nil && steps.isDeserted)
    }

    @Test func `what has been read at last is not waited for, and off is for ever`() throws {
        for (limit, window) in [(Self.limit, 5000), ("off", 0)] {
            let steps = try start("write_timeout \(limit); send_buffer 1m;")
            let peer = steps.open(window: 1000)
            peer.say("fill:1:5000")
            steps.step(ticks: 9)
            peer.widen(by: window)
            steps.step()
            #expect(peer.isBlocked == (window == 0))
            steps.step(ticks: 100)
            #expect(peer.phase == .open && steps.worker.patience == nil)
        }
    }

    @Test func `an answer to a plain request is waited for no longer`() throws {
        let steps = try StepWorker(
            handler: "fixture_probe", rest: "defaults { handshake_timeout 1h; write_timeout \(Self.limit); }")
        let peer = steps.connect(saying: "GET /echo?do=large HTTP/1.1\r\nHost: a\r\n\r\n", window: 1000)
        steps.step()
        #expect(peer.isBlocked && peer.phase == .head)
        _ = peer.heard()
        pass(steps, peer)
        #expect(peer.place == nil && steps.isDeserted)
        #expect(steps.server.context.costs.writeTimeouts.load(ordering: .relaxed) == 1)
    }

    @Test func `the end of our side waits two seconds for the peer's`() throws {
        let steps = try start()
        let peer = steps.connect(saying: "GET /nothing HTTP/1.0\r\n\r\n")
        steps.step()
        #expect(peer.phase == .lingering)
        steps.step(ticks: 62)
        #expect(peer.phase == .lingering)
        steps.step(ticks: 1)
        #expect(peer.place == nil && steps.isDeserted)
    }

    @Test func `an answer may be read slowly, 4096 bytes in the time of a handshake, and no more slowly`() throws {
        let steps = try start()
        let peer = steps.connect(
            saying: "GET /echo?do=large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", window: 1000)
        // Its close_timeout is that of no route: the handshake's.
        steps.step()
        #expect(peer.phase == .ending)
        for _ in 0..<3 {
            peer.widen(by: 4096)
            steps.step(ticks: 10)
            #expect(peer.phase == .ending)
        }
        peer.widen(by: 4095)
        steps.step(ticks: 9)
        #expect(peer.phase == .ending)
        steps.step(ticks: 1)
        #expect(peer.place == nil && steps.isDeserted)
    }

    @Test func `a connection that opens has no deadline left of its handshake`() throws {
        let steps = try start(handler: "echo")
        let peer = steps.open()
        _ = peer.frames()
        steps.step(ticks: 100)
        #expect(peer.phase == .open && peer.heard().isEmpty && steps.worker.patience == nil)
    }
}
