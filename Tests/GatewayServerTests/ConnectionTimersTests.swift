import TestSupport
import Testing

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
        let octets = ClientFrame(2, Array(repeating: 1, count: 60)).octets
        for octet in octets.dropLast() {
            try client.send([octet])
            if client.socket.hears(within: 25) { #expect(try client.receive().opcode == 9) }
        }
        try client.send([octets[octets.count - 1]])
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
