import GatewayServer
import TestSupport
import Testing

@Suite("dispatch pool: callbacks may block, and nobody but their own connection waits")
struct WorkerPoolingTests {
    @Test("a callback that blocks holds up neither pings nor other connections of its worker")
    func blocking() throws {
        let gateway = try TestGateway.blocking()
        let gate = try Gate()
        let (blocked, other) = (try gateway.connect(), try gateway.connect())
        try blocked.send("wait \(gate.text)")
        try gate.entered()
        try blocked.send(ClientFrame(9, Array("there?".utf8)))
        #expect(try blocked.receive() == .init(10, Array("there?".utf8)))
        #expect(try other.say("a") == "1 1 a")
        #expect(try TestClient(port: gateway.port, open: "/loop").say("b") == "1 1 b")
        #expect(try gateway.check() == "1 broken 0 live 2 body 0")
        // What came meanwhile comes behind it, and the ping was heard too.
        try blocked.send("c")
        gate.release()
        #expect(try blocked.hear() == "1 1 wait \(gate.text)")
        #expect(try blocked.hear() == "1 2 c")
        blocked.close()
        other.close()
        #expect(try gateway.isIntact())
    }

    @Test("callbacks of one connection come one at a time and in order, those of others at the same time")
    func order() throws {
        let gateway = try TestGateway.blocking(threads: 2)
        let gates = try (0..<4).map { _ in try Gate() }
        let clients = try gates.map { gate in
            let client = try gateway.connect()
            let messages = ["wait \(gate.text)"] + (2..<200).map { "m\($0)" }
            try client.send(messages.flatMap { ClientFrame(1, Array($0.utf8)).bytes })
            return client
        }
        // All of them are inside at once.
        for gate in gates { try gate.entered() }
        for gate in gates { gate.release() }
        for (client, gate) in zip(clients, gates) {
            #expect(try client.hear() == "1 1 wait \(gate.text)")
            for number in 2..<200 { #expect(try client.hear() == "1 \(number) m\(number)") }
        }
        #expect(try gateway.isIntact(live: 4))
    }

    @Test("fragments are joined, and large messages come whole")
    func sizes() throws {
        let gateway = try TestGateway.blocking()
        let client = try gateway.connect()
        try client.send(ClientFrame(1, Array("one ".utf8), isFinal: false))
        try client.send(ClientFrame(0, Array("two".utf8)))
        #expect(try client.hear() == "1 1 one two")
        try client.send("buffer" + String(repeating: " ", count: 300_000))
        #expect(try client.hear() == "1 2 buffer" + String(repeating: " ", count: 94))
    }

    @Test("what is lent can be kept, and a reference that is not one's own does no harm")
    func buffers() throws {
        let gateway = try TestGateway.blocking()
        let client = try gateway.connect()
        #expect(try client.say("keep") == "1 1 keep")
        #expect(try client.say("something else of some length") == "1 2 something else of some length")
        #expect(try client.say("kept") == "keep")
        #expect(try client.hear() == "1 3 kept")
        #expect(try client.say("buffer") == "buffer")
        #expect(try client.hear() == "1 4 buffer")
    }

    @Test("a callback is at home on its thread", arguments: [("/probe", "dispatch"), ("/loop", "worker 0")])
    func thread(_ path: String, _ name: String) throws {
        let gateway = try TestGateway.blocking()
        let client = try TestClient(port: gateway.port, open: path)
        #expect(try client.say("where") == "\(name) thread 1 state 1 set 0 other -10 request 1")
    }

    // MARK: Flow

    @Test("a peer that sends more than the handler takes is not read from until it has")
    func backpressure() throws {
        let gateway = try TestGateway.blocking(route: "send_buffer 64k; max_message 64k;")
        let gate = try Gate()
        let client = try gateway.connect()
        try client.send("wait \(gate.text)")
        try gate.entered()
        let message = ClientFrame(1, Array(String(repeating: "x", count: 30_000).utf8)).bytes
        var sent = 0
        // Far more than the kernel keeps for a socket.
        while sent < 2000, client.socket.takes(within: 500) {
            try client.send(message)
            sent += 1
        }
        #expect(sent < 2000)
        gate.release()
        let heard = try (0...sent).map { _ in try client.hear() }
        #expect(heard.first == "1 1 wait \(gate.text)")
        #expect(heard.last == "1 \(sent + 1) " + String(repeating: "x", count: 100))
    }

    @Test("many small messages are held back by their number")
    func number() throws {
        let gateway = try TestGateway.blocking()
        let gate = try Gate()
        let client = try gateway.connect()
        let messages = ["wait \(gate.text)"] + (2...5000).map { "m\($0)" }
        try client.send(messages.flatMap { ClientFrame(1, Array($0.utf8)).bytes })
        try gate.entered()
        gate.release()
        #expect(try client.hear() == "1 1 wait \(gate.text)")
        for number in 2...5000 { #expect(try client.hear() == "1 \(number) m\(number)") }
    }

    @Test("reading off holds back what has been read, and nothing else")
    func pause() throws {
        let gateway = try TestGateway.blocking()
        let client = try gateway.connect()
        for round in 0..<20 {
            let messages = ["pause", "a", "b"]
            try client.send(messages.flatMap { ClientFrame(1, Array($0.utf8)).bytes })
            let count = round * 3
            #expect(try client.hear() == "1 \(count + 1) pause")
            #expect(try client.hear() == "1 event 5")
            #expect(try client.hear() == "1 \(count + 2) a")
            #expect(try client.hear() == "1 \(count + 3) b")
        }
    }

    // MARK: Later

    @Test("timers, posts and work come in order with everything else")
    func later() throws {
        let gateway = try TestGateway.blocking()
        let gate = try Gate()
        let client = try gateway.connect()
        try client.send("work \(gate.text)")
        #expect(try client.hear() == "1 1 work \(gate.text)")
        try gate.entered()
        #expect(try client.say("post") == "1 2 post")
        #expect(try client.hear() == "1 event 4")
        #expect(try client.say("timer 1 0") == "1 3 timer 1 0")
        #expect(try client.hear() == "1 event 3")
        gate.release()
        #expect(try client.hear() == "1 event 2")
    }

    @Test("a timer that repeats does not pile up behind a callback that blocks")
    func timers() throws {
        let gateway = try TestGateway.blocking()
        let (gate, work) = (try Gate(), try Gate())
        let client = try gateway.connect()
        #expect(try client.say("timer 1 1") == "1 1 timer 1 1")
        try client.send("wait \(gate.text)")
        try gate.entered()
        // The worker has had many turns meanwhile.
        for _ in 0..<200 { #expect(try gateway.check("/loop") == "1 broken 0 live 0 body 0") }
        try client.send("work \(work.text)")
        gate.release()
        var events = 0
        while try client.hear() != "1 2 wait \(gate.text)" {}
        while try client.hear() != "1 3 work \(work.text)" { events += 1 }
        #expect(events <= 1)
        work.release()
    }

    // MARK: The end

    @Test("nothing comes behind a close or an abort of the handler but close()", arguments: ["close", "abort"])
    func closing(_ way: String) throws {
        let gateway = try TestGateway.blocking()
        let end = try Gate()
        let client = try gateway.connect()
        #expect(try client.say("end \(end.text)") == "1 1 end \(end.text)")
        let messages = [way] + (0..<100).map { "m\($0)" }
        try client.send(messages.flatMap { ClientFrame(1, Array($0.utf8)).bytes })
        if way == "close" { #expect(try client.receiveAll() == [.close(1000)]) } else { try client.expectEnd() }
        client.close()
        let report = try end.entered(4)
        #expect(Array(report[..<3]) == [UInt8(ascii: "c"), 2, 2], "two messages were delivered; by the handler")
        end.release()
        #expect(try gateway.isIntact())
    }

    @Test("what the peer sent before it left is delivered, then close()", arguments: [true, false])
    func leaving(_ isClean: Bool) throws {
        let gateway = try TestGateway.blocking()
        let (gate, end) = (try Gate(), try Gate())
        let client = try gateway.connect()
        #expect(try client.say("end \(end.text)") == "1 1 end \(end.text)")
        let messages = ["wait \(gate.text)"] + (0..<5).map { "m\($0)" }
        try client.send(messages.flatMap { ClientFrame(1, Array($0.utf8)).bytes })
        try gate.entered()
        if isClean {
            // The closing handshake waits for the handler no longer than close_timeout.
            try client.sendClose(1000)
            #expect(try client.receiveAll() == [.close(1000)])
        }
        client.close()
        // The slot is somebody else's before the handler is through.
        let next = try gateway.connect()
        #expect(try next.say("a") == "1 1 a")
        #expect(end.isEmpty)
        gate.release()
        #expect(try end.entered(4) == [UInt8(ascii: "c"), 7, isClean ? 1 : 4, 7])
        end.release()
        #expect(try gateway.isIntact(live: 1))
        #expect(try next.say("b") == "1 2 b")
    }

    @Test("a broken frame behind messages fails the connection behind them")
    func errors() throws {
        let gateway = try TestGateway.blocking()
        let (gate, end) = (try Gate(), try Gate())
        let client = try gateway.connect()
        #expect(try client.say("end \(end.text)") == "1 1 end \(end.text)")
        try client.send("wait \(gate.text)")
        try gate.entered()
        try client.send(ClientFrame(1, [0xFF]))
        #expect(try client.receiveAll().last?.closeCode == 1007)
        gate.release()
        #expect(try end.entered(4)[..<3] == [UInt8(ascii: "c"), 2, 3])
        end.release()
        #expect(try gateway.isIntact())
    }

    @Test("stop waits for what blocks, and for what has not begun")
    func stopping() throws {
        let gateway = try TestGateway.blocking(threads: 2)
        let (gate, end) = (try Gate(), try Gate())
        let client = try gateway.connect()
        #expect(try client.say("end \(end.text)") == "1 1 end \(end.text)")
        let messages = ["wait \(gate.text)", "a", "b"]
        try client.send(messages.flatMap { ClientFrame(1, Array($0.utf8)).bytes })
        try gate.entered()
        gateway.beginStopping()
        #expect(try client.receiveAll().last?.closeCode == 1001)
        client.close()
        gate.release()
        #expect(try end.entered(4) == [UInt8(ascii: "c"), 4, 6, 4])
        end.release()
        gateway.stop()
    }

    // MARK: A serial instance

    @Test("GW_HF_SERIAL holds on the pool as well, and its waiting takes no threads")
    func serial() throws {
        let gateway = try TestGateway.blocking("blocker_serial")
        let (gate, home, late) = (try Gate(), try Gate(), try Gate())
        let first = try gateway.connect()
        #expect(try first.say("home \(home.text)") == "1 1 home \(home.text)")
        try home.entered()
        // [home] blocks the instance, and the loop goes on.
        let others = try (0..<80).map { _ in
            let client = try TestClient(port: gateway.port)
            try client.send(TestClient.handshake("/probe"))
            return client
        }
        #expect(try TestClient(port: gateway.port, open: "/loop").say("a") == "1 1 a")
        home.release()
        for other in others { #expect(try other.readHead().hasPrefix("HTTP/1.1 101 ")) }
        try first.send("wait \(gate.text)")
        try gate.entered()
        try others[0].send("wait \(late.text)")
        for other in others[1...] { try other.send("b") }
        #expect(try TestClient(port: gateway.port, open: "/loop").say("c") == "1 1 c")
        #expect(late.isEmpty)
        gate.release()
        late.release()
        for other in others[1...] { #expect(try other.hear() == "1 1 b") }
        #expect(try others[0].hear() == "1 1 wait \(late.text)")
        #expect(try gateway.check("/loop").hasPrefix("1 broken 0 "))
    }
}
