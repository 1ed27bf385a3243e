import GatewayServer
import TestSupport
import Testing

@Suite("A handler is replaced under its connections")
struct ReloadTests {
    @Test(arguments: ReloadGateway.Way.allCases)
    func `connections move with their state`(_ way: ReloadGateway.Way) throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        let answer = try gateway.reload("counter_v2", way)
        #expect(answer.timeless == "handler \"counter\": generation 2 is serving, 1 connection moved")
        #expect(answer.exit == 0)
        #expect(try client.say("b") == "2 2 b")
        #expect(try gateway.ask() == "2 1 2", "the total of the instance went along as well")
        try gateway.reload("counter_v1", way).expectDone()
        #expect(try client.say("c") == "1 3 c")
    }

    @Test func `a file that is the same is not loaded again`() throws {
        let gateway = try ReloadGateway()
        let answer = try gateway.reload("counter_v1")
        #expect(answer.timeless == "handler \"counter\": the file is identical to generation 1, nothing to do")
        #expect(answer.exit == 0)
    }

    @Test func `an image that may go goes when its last connection has left it`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        try gateway.reload("counter_v2")
        #expect(try eventually { try gateway.status().contains("ended") })
        #expect(try client.say("b") == "2 2 b")
    }

    // MARK: Quiet points

    @Test func `half a frame and half a message go along`() throws {
        let gateway = try ReloadGateway()
        let (frame, message) = (try gateway.connect(), try gateway.connect())
        let bytes = ClientFrame(1, Array("whole".utf8)).bytes
        try frame.send(Array(bytes[..<8]))
        try message.send(ClientFrame(1, Array("one ".utf8), isFinal: false))
        // Both have arrived when a ping behind them has been answered; inside a frame nothing can be asked.
        try message.send(ClientFrame(9, []))
        #expect(try message.receive().opcode == 10)
        #expect(try gateway.reload("counter_v2").timeless.hasSuffix("2 connections moved"))
        try frame.send(Array(bytes[8...]))
        #expect(try frame.hear() == "2 1 whole")
        try message.send(ClientFrame(0, Array("message".utf8)))
        #expect(try message.hear() == "2 1 one message")
    }

    @Test func `who takes messages piece by piece moves between messages`() throws {
        let gateway = try ReloadGateway("counter_stream_v1")
        let client = try gateway.connect()
        try client.send(ClientFrame(1, Array("a".utf8), isFinal: false))
        #expect(try client.hear() == "1 1 a")
        let answer = try gateway.reload("counter_stream_v2")
        #expect(
            answer.timeless.hasSuffix(
                "0 connections moved, 1 still with older generations (busy: they move when they are quiet)"))
        try client.send(ClientFrame(0, Array("b".utf8)))
        #expect(try client.hear() == "1 2 b")
        #expect(try eventually { try gateway.ask().hasPrefix("2 1 ") })
        #expect(try client.say("c") == "2 3 c")
    }

    @Test func `who is being sent a message in fragments moves behind its end`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        try client.send("begin")
        #expect(try client.receive() == TestClient.Frame(1, Array("<".utf8), isFinal: false))
        try gateway.reload("counter_v2")
        #expect(try gateway.ask() == "2 0 1")
        try client.send("end")
        #expect(try client.receive() == TestClient.Frame(0, Array(">".utf8)))
        #expect(try client.hear() == "1 2 end")
        #expect(try eventually { try gateway.ask().hasPrefix("2 1 ") })
        #expect(try client.say("c") == "2 3 c")
    }

    @Test func `who waits for an answer to its handshake gets it, and moves then`() throws {
        let gateway = try ReloadGateway(defaults: "reply_timeout 20s;")
        let client = try TestClient(port: gateway.port)
        try client.send(TestClient.handshake("/counter?held"))
        let helper = try gateway.connect()
        #expect(try eventually { try gateway.status().contains("live") })
        // Its answer can only be given by the generation that was asked: a plain request that was there before.
        let asking = try TestClient(port: gateway.port)
        let request = TestClient.request(
            "POST", "/counter?answer", headers: ["Content-Length: 1", "Expect: 100-continue"])
        try asking.send(request)
        #expect(try asking.readHead().hasPrefix("HTTP/1.1 100"))
        try gateway.reload("counter_v2")
        #expect(try helper.say("x") == "2 1 x")
        try asking.send(Array("!".utf8))
        #expect(try asking.response().status == 200, "a request in flight ends where it began")
        #expect(try client.readHead().hasPrefix("HTTP/1.1 101"))
        #expect(try eventually { try gateway.ask().hasPrefix("2 2 ") })
        #expect(try client.say("a") == "2 1 a")
    }

    @Test func `who has work under way moves when it is done`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        #expect(try client.say("work") == "1 1 work")
        let answer = try gateway.reload("counter_v2")
        #expect(answer.timeless.contains("0 connections moved, "))
        #expect(try client.say("done") == "1 2 done")
        #expect(try client.hear() == "1 event 8")
        #expect(try eventually { try gateway.ask().hasPrefix("2 1 ") })
        #expect(try client.say("b") == "2 3 b")
        #expect(try eventually { try gateway.status().contains("ended") })
    }

    // MARK: What goes along

    @Test func `timers and topics go along`() throws {
        let gateway = try ReloadGateway()
        let (timed, member) = (try gateway.connect(), try gateway.connect())
        #expect(try timed.say("later") == "1 1 later")
        #expect(try member.say("join") == "1 1 join")
        try gateway.reload("counter_v2")
        #expect(try eventually { try timed.hear() == "2 event 7" })
        #expect(try gateway.connect().say("tell") == "2 1 tell")
        #expect(try member.hear() == "all")
        #expect(try member.say("a") == "2 2 a")
    }

    @Test func `input that is held back is delivered to the new generation`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        #expect(try client.say("deaf") == "1 1 deaf")
        try client.send("held")
        try gateway.reload("counter_v2")
        #expect(try gateway.ask("?hear").hasPrefix("2 1 "))
        #expect(try client.hear() == "2 2 held")
    }

    @Test func `queued output goes along, and the new generation hears that it has drained`() throws {
        let gateway = try ReloadGateway(route: "send_buffer 18m;")
        let client = try gateway.connect(receiveBuffer: 4096)
        try client.send("flood")
        #expect(client.socket.hears(within: 10_000))
        // Behind sixteen megabytes that nobody reads.
        #expect(try gateway.reload("counter_v2").timeless.hasSuffix("1 connection moved"))
        for _ in 0..<16 { #expect(try client.receive().payload.count == 1 << 20) }
        #expect(try client.hear() == "1 1 flood")
        #expect(try client.hear() == "2 drained")
        #expect(try client.say("b") == "2 2 b")
    }

    @Test func `an image stays as long as its buffers are on their way`() throws {
        let gateway = try ReloadGateway(route: "send_buffer 18m;")
        let client = try gateway.connect(receiveBuffer: 4096)
        try client.send("wrap")
        #expect(client.socket.hears(within: 10_000))
        let other = try gateway.connect()
        #expect(try gateway.reload("counter_v2").timeless.hasSuffix("2 connections moved"))
        #expect(try other.say("a") == "2 1 a")
        #expect(try !gateway.status().contains("ended"), "its buffers are still queued")
        for _ in 0..<16 { #expect(try client.receive().payload == [UInt8](repeating: 120, count: 1 << 20)) }
        #expect(try client.hear() == "1 1 wrap")
        #expect(try eventually { try gateway.status().contains("ended") })
    }

    @Test func `callbacks of a serial handler never meet, also while it moves`() throws {
        let gateway = try ReloadGateway("counter_serial_v1")
        let clients = try (0..<16).map { _ in try gateway.connect() }
        for round in 1...6 {
            for client in clients { try client.send("x") }
            try gateway.reload(round % 2 == 1 ? "counter_serial_v2" : "counter_serial_v1")
            for client in clients { #expect(try client.hear().hasSuffix(" \(round) x")) }
        }
    }

    @Test func `what keeps nothing moves without a word`() throws {
        let gateway = try ReloadGateway("counter_stateless_v1")
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 0 a")
        #expect(try gateway.reload("counter_stateless_v2").timeless.hasSuffix("1 connection moved"))
        #expect(try client.say("b") == "2 0 b")
    }

    // Built for the thread sanitizer, Swift modules need symbols of it that executables do not export.
    @Test(.enabled(if: !Sanitizer.isThread)) func `a handler in Swift takes its state along`() throws {
        let gateway = try ReloadGateway("counter_swift_v1")
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        #expect(try gateway.reload("counter_swift_v2").timeless.hasSuffix("1 connection moved"))
        #expect(try client.say("b") == "2 2 b")
        #expect(try gateway.ask() == "2 2")
        try gateway.reload("counter_swift_v1").expectDone()
        #expect(try client.say("c") == "1 3 c")
        #expect(try gateway.status().contains("contains Swift"))
    }

    @Test func `all routes of a handler are replaced together`() throws {
        let gateway = try ReloadGateway(
            routes: "route /a { handler counter; set text A; } route /b { handler counter; set text B; }")
        let (a, b) = (try gateway.connect(path: "/a"), try gateway.connect(path: "/b"))
        #expect([try a.say("x"), try b.say("y")] == ["1 1 x A", "1 1 y B"])
        #expect(try gateway.reload("counter_v2").timeless.hasSuffix("2 connections moved"))
        #expect([try a.say("x"), try b.say("y")] == ["2 2 x A", "2 2 y B"])
        #expect(try [gateway.ask(path: "/a"), gateway.ask(path: "/b")] == ["2 1 2", "2 1 2"])
    }

    // MARK: Chains

    @Test func `who could not move before moves to the newest of several generations`() throws {
        let gateway = try ReloadGateway("counter_stream_v1")
        let (busy, free) = (try gateway.connect(), try gateway.connect())
        try busy.send(ClientFrame(1, Array("a".utf8), isFinal: false))
        #expect(try busy.hear() == "1 1 a")
        for round in 1...5 {
            let version = round % 2 == 1 ? "2" : "1"
            try gateway.reload("counter_stream_v\(version)")
            #expect(try free.say("x") == "\(version) \(round) x")
        }
        try busy.send(ClientFrame(0, Array("b".utf8)))
        #expect(try busy.hear() == "1 2 b")
        #expect(try eventually { try gateway.ask().hasPrefix("2 2 ") })
        #expect(try busy.say("c") == "2 3 c")
        #expect(try eventually { try !gateway.status().contains("retiring") })
    }
}
