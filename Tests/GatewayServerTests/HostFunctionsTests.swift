import TestSupport
import Testing

@Suite("gw_host: every function answers as gw_handler.h says")
struct HostFunctionsTests {
    @Test("misuse is answered, never obeyed")
    func misuse() throws {
        let gateway = try TestGateway()
        let client = try gateway.connect()
        try client.send("misuse")
        #expect(
            try client.receive().text
                == "-4 -4 -4 -1 -1 -1 -4 -4 -4 -4 -4 -4 -4 -4 -4 -4 -4 -4 -1 -10 -4 -1 -4 -4 1 1 1 1 1 0")
        try client.send("still here")
        #expect(try client.receive() == .text("still here"))
    }

    @Test("a fragmented message: whole ones wait, control frames pass, text is checked over its cuts")
    func fragments() throws {
        let gateway = try TestGateway()
        let client = try gateway.connect()
        try client.send("fragments")
        #expect(try client.receive() == TestClient.Frame(1, [0xE2, 0x82], isFinal: false))
        #expect(try client.receive() == TestClient.Frame(9, Array("mid".utf8)))
        #expect(try client.receive() == TestClient.Frame(0, [0xAC]))
        #expect(try gateway.record(until: "fragments").contains("fragments 0 -3 -4 0 -4 0"))
        try client.send("thread-fragments:1:1")
        #expect(try client.receive() == TestClient.Frame(1, Array("one ".utf8), isFinal: false))
        #expect(try client.receive() == TestClient.Frame(9, Array("p".utf8)))
        #expect(try client.receive() == TestClient.Frame(0, Array("two".utf8)))
        #expect(try gateway.record(until: "thread fragments").contains("thread fragments 0 -3 0 0"))
        try client.send("whole")
        #expect(try client.receive() == .text("whole"))
    }

    @Test("buffers: one reference for each send, wrapped memory is released once")
    func buffers() throws {
        let gateway = try TestGateway()
        let client = try gateway.connect()
        try client.send("keep")
        #expect(try client.receive() == .text("kept"))
        #expect(try client.receive() == .text("kept"))
        try client.send("thread-wrap:1:1")
        #expect(try client.receive() == .text("wrapped"))
        try client.send("close:1000:")
        let record = try gateway.record(until: "closed")
        #expect(record.filter { $0 == "released" }.count == 1)
        #expect(record.contains("kept 0 0") && record.contains("send_buf 0"))
    }

    @Test("conn_info tells what waits, also in the callback that sent it")
    func info() throws {
        let gateway = try TestGateway(route: "send_buffer 8k;")
        let client = try gateway.connect()
        try client.send("info")
        #expect(try client.receive() == .text("info 0 flags 0 queued 0 high 4096"))
        try client.send("send-info")
        #expect(try client.receive().payload.count == 1000)
        #expect(try client.receive() == .text("info 0 flags 0 queued 1004 high 4096"))
    }

    @Test("conns lists the open connections of all workers")
    func connections() throws {
        let gateway = try TestGateway(rest: "route /other { handler fixture_probe; }")
        let clients = try (0..<5).map { _ in try gateway.connect() }
        let other = try TestClient(port: gateway.port, open: "/other")
        try gateway.record(until: "open", times: 5)
        for client in clients {
            try client.send("conns")
            #expect(try client.receive() == .text("conns 5 self 1"))
        }
        try other.send("conns")
        #expect(try other.receive() == .text("conns 1 self 1"))
    }

    @Test("what is for a callback of the connection is refused elsewhere")
    func threadCheck() throws {
        let gateway = try TestGateway()
        try gateway.connect().send("thread-state:1:1")
        #expect(try gateway.record(until: "thread state").contains("thread state 1 -10"))
    }

    @Test("the handshake is kept for those who ask for it, and for nobody else")
    func keptRequest() throws {
        for (handler, answer) in [("fixture_probe", "none"), ("fixture_probe_stream", "/probe")] {
            let client = try TestGateway(handler: handler)
            let peer = try client.connect()
            try peer.send("request")
            #expect(try peer.receive() == .text(answer))
        }
    }

    @Test("GW_HF_SERIAL: no two callbacks of an instance at once")
    func serial() throws {
        let gateway = try TestGateway(handler: "fixture_probe_serial", threads: 2)
        let clients = try (0..<6).map { _ in try gateway.connect() }
        let burst = (0..<300).flatMap { _ in ClientFrame(1, Array("hello".utf8)).bytes }
        for client in clients { try client.send(burst) }
        for client in clients {
            for _ in 0..<300 { #expect(try client.receive() == .text("hello")) }
        }
        #expect(try gateway.record().endings.isEmpty)
    }
}
