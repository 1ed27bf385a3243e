import TestSupport
import Testing

/// One way for a connection to end.
struct Ending: Sendable, CustomTestStringConvertible {
    let name: String
    var route = ""
    var receiveBuffer: Int32?
    /// The Close frame the client gets; nil for none.
    var frame: TestClient.Frame?
    /// What the handler hears of it, behind the number of the connection.
    let close: String
    let act: @Sendable (TestClient, TestGateway) throws -> Void

    init(
        _ name: String, route: String = "", receiveBuffer: Int32? = nil, frame: TestClient.Frame? = nil,
        close: String, act: @escaping @Sendable (TestClient, TestGateway) throws -> Void
    ) {
        self.name = name
        self.route = route
        self.receiveBuffer = receiveBuffer
        self.frame = frame
        self.close = close
        self.act = act
    }

    var testDescription: String { name }

    // GW_BY_PEER 1, GW_BY_HANDLER 2, GW_BY_GATEWAY 3, GW_BY_TRANSPORT 4, GW_BY_SHUTDOWN 6
    static let byPeer: [Ending] = [
        Ending("the peer closes", frame: .close(1000, "bye"), close: "close 1000 by 1 reason bye") { client, _ in
            try client.sendClose(1000, "bye")
        },
        Ending("the peer closes without a code", frame: TestClient.Frame(8), close: "close 1005 by 1 reason") {
            client, _ in try client.send(ClientFrame(8))
        },
        Ending("the peer closes in the packet of a message", frame: .close(3000), close: "close 3000 by 1 reason") {
            client, _ in
            try client.send(ClientFrame(1, Array("last".utf8)).octets + ClientFrame(8, [0x0B, 0xB8]).octets)
        },
        Ending("the peer's stream ends", close: "close 1006 by 4 reason") { client, _ in client.finishSending() },
        Ending("the peer resets", close: "close 1006 by 4 reason") { client, _ in client.reset() },
        Ending("the peer ends inside a frame", close: "close 1006 by 4 reason") { client, _ in
            try client.send(Array(ClientFrame(1, Array("half".utf8)).octets.dropLast(2)))
            client.finishSending()
        },
    ]

    static let byHandler: [Ending] = [
        Ending("the handler closes", frame: .close(1000, "bye"), close: "close 1000 by 2 reason bye") { client, _ in
            try client.send("close:1000:bye")
        },
        Ending("the handler closes without a code", frame: TestClient.Frame(8), close: "close 1005 by 2 reason") {
            client, _ in try client.send("close:0")
        },
        Ending("the handler closes in its open", close: "close 4100 by 2 reason") { client, gateway in
            client.reset()
            let other = try gateway.connect("?greet=close")
            #expect(try other.receiveAll() == [.text("close"), .close(4100)])
        },
        Ending("the handler closes and the peer vanishes", close: "close 4002 by 2 reason") { client, gateway in
            try client.send("close:4002")
            try gateway.record(until: "1 closed")
            client.reset()
        },
        Ending(
            "the handler closes and the peer does not answer", route: "close_timeout 40ms;", frame: .close(4002),
            close: "close 4002 by 2 reason"
        ) { client, _ in try client.send("close:4002") },
        Ending("a thread closes", frame: .close(4000, "bye"), close: "close 4000 by 2 reason bye") { client, _ in
            try client.send("thread-close:1:1")
        },
        Ending("the handler aborts", close: "close 1006 by 2 reason") { client, _ in try client.send("abort") },
        Ending("a thread aborts", close: "close 1006 by 2 reason") { client, _ in
            try client.send("thread-abort:1:1")
        },
        Ending("the handler closes and aborts", close: "close 1006 by 2 reason") { client, _ in
            try client.send("close-abort")
        },
    ]

    static let byGateway: [Ending] = [
        Ending("a frame is not masked", frame: .close(1002, "a client frame is not masked"), close: "close 1002 by 3") {
            client, _ in try client.send(ClientFrame(1, [1]).with { $0.isMasked = false })
        },
        Ending("text is not UTF-8", frame: .close(1007, "text is not UTF-8"), close: "close 1007 by 3") { client, _ in
            try client.send(ClientFrame(1, [0xFF]))
        },
        Ending(
            "a length is beyond every number", frame: .close(1002, "malformed payload length"),
            close: "close 1002 by 3"
        ) {
            client, _ in
            try client.send(
                ClientFrame(2).with {
                    $0.lengthForm = .eight
                    $0.claimedLength = .max
                })
        },
        Ending(
            "a message is too big", route: "max_message 10;", frame: .close(1009, "message is larger than max_message"),
            close: "close 1009 by 3"
        ) { client, _ in try client.send(ClientFrame(2, Array(repeating: 0, count: 11))) },
        Ending(
            "no pong comes", route: "ping_interval 40ms; pong_timeout 40ms; close_timeout 40ms;",
            frame: .close(1011, "pong timeout"), close: "close 1011 by 3"
        ) { _, _ in },
        Ending(
            "nothing is said", route: "idle_timeout 40ms; close_timeout 40ms;", frame: .close(1001, "idle timeout"),
            close: "close 1001 by 3"
        ) { _, _ in },
        Ending(
            "the peer does not read", route: "send_buffer 64k;", receiveBuffer: 4096,
            frame: .close(1013, "slow consumer"), close: "close 1013 by 3 reason slow consumer"
        ) { client, gateway in
            try client.send("fill:1000:60000")
            try gateway.record(until: "flood ended with -1")
        },
    ]
}

@Suite("ConnectionCloser: gw_handler.close comes exactly once, however a connection ends")
struct ConnectionCloserTests {
    @Test(arguments: Ending.byPeer + Ending.byHandler + Ending.byGateway)
    func saysHowItEnded(_ ending: Ending) throws {
        let gateway = try TestGateway(route: ending.route)
        let client = try gateway.connect(receiveBuffer: ending.receiveBuffer)
        try ending.act(client, gateway)
        if let frame = ending.frame {
            #expect(try client.receiveAll().last == frame)
            if frame.closeCode ?? 0 >= 3000 { client.finishSending() }
        }
        let record = try gateway.record(until: " " + ending.close)
        let number = record.filter { $0.contains(" open ") }.count
        #expect(record.endings.contains { $0.hasPrefix("\(number) \(ending.close)") }, "\(record)")
        #expect(record.endings.allSatisfy { $0.hasSuffix("sends -1") })
    }

    @Test("the output before the end is sent before the end")
    func outputComesFirst() throws {
        let gateway = try TestGateway()
        let client = try gateway.connect()
        try client.send("thread-close:1:1")
        #expect(try client.receiveAll() == [.text("last words"), .close(4000, "bye")])
        #expect(try gateway.record(until: "thread close").contains("thread close 0 0 -1 -1"))
    }

    @Test("after close() nothing is sent or delivered, and conns() counts the connection until its close")
    func isClosedAtOnce() throws {
        let gateway = try TestGateway()
        let client = try gateway.connect()
        try client.send(
            ClientFrame(1, Array("close:1000:".utf8)).octets + ClientFrame(1, Array("unheard".utf8)).octets
                + ClientFrame(9, Array("unheard".utf8)).octets)
        #expect(try client.receiveAll() == [.close(1000)])
        try client.sendClose(1000)
        let record = try gateway.record(until: " close ")
        #expect(record.contains("1 closed 0 -1 -1 -1 counted 1"))
        #expect(!record.contains { $0.contains("message") || $0.contains("ping") })
    }

    @Test("an error is told before the close it leads to")
    func errorsAreTold() throws {
        let cases: [(ClientFrame, String)] = [
            (ClientFrame(3), "1 error -4 reserved opcode"), (ClientFrame(1, [0xC0]), "1 error -4 text is not UTF-8"),
            (ClientFrame(2, Array(repeating: 0, count: 9)), "1 error -5 message is larger than max_message"),
        ]
        for (frame, line) in cases {
            let gateway = try TestGateway(route: "max_message 8;")
            let client = try gateway.connect()
            try client.send(frame)
            let record = try gateway.record(until: " close ")
            #expect(record.dropLast().last == line)
        }
    }

    @Test("a reset and a slow consumer are errors, too")
    func transportErrorsAreTold() throws {
        let gateway = try TestGateway(route: "send_buffer 64k;")
        try gateway.connect().reset()
        #expect(try gateway.record(until: "1 close").contains { $0.hasPrefix("1 error -1 ") })
        let slow = try gateway.connect(receiveBuffer: 4096)
        try slow.send("fill:1000:60000")
        try gateway.record(until: "flood ended")
        slow.reset()
        #expect(try gateway.record(until: "2 close").contains { $0.hasPrefix("2 error -5 ") })
    }

    @Test("a handler may abort everybody in one callback")
    func abortsAll() throws {
        let gateway = try TestGateway()
        let clients = try (0..<6).map { _ in try gateway.connect() }
        try gateway.record(until: "open", times: 6)
        try clients[3].send("abort-all")
        let record = try gateway.record(until: " close 1006 by 2", times: 6)
        #expect(record.endings.count == 6)
        for client in clients { try client.expectEnd() }
    }

    @Test("SIGTERM: 1001 to everybody, also to stuck peers, and then the end")
    func shutsDown() throws {
        let gateway = try TestGateway(route: "close_timeout 50ms; send_buffer 64k;")
        let observer = try TestClient(port: gateway.port)
        try observer.send(TestClient.request("GET", "/probe?until=%20close%20&times=3"))
        let answering = try gateway.connect()
        let mute = try gateway.connect()
        let half = try TestClient(port: gateway.port)
        try half.send(Array("GET /pro".utf8))
        let stuck = try gateway.connect(receiveBuffer: 4096)
        try stuck.send("fill:1:60000")
        gateway.beginStopping()
        #expect(try answering.receiveAll().last == .close(1001, "the gateway is shutting down"))
        try answering.sendClose(1001)
        let record = try observer.response().body.split(separator: "\n").map(String.init)
        #expect(record.endings.count == 3)
        #expect(record.endings.allSatisfy { $0.contains("close 1001 by 6 reason the gateway is shutting down") })
        gateway.stop()
        try mute.expectEnd()
        try half.expectEnd()
    }

    @Test("an upgrade that is answered while the gateway stops is opened, told 1001 and closed")
    func deferredUpgradeWhileStopping() throws {
        // On a busy machine the steps below take their time, and who is late when stopping is cut off.
        // One worker, so that what is asked first is heard first.
        let gateway = try TestGateway(route: "close_timeout 20s;", threads: 1)
        let late = try TestClient(port: gateway.port)
        try late.send(TestClient.handshake("/probe?upgrade=held"))
        try gateway.record(until: "held")
        let open = try gateway.connect()
        let observer = try TestClient(port: gateway.port)
        try observer.send(TestClient.request("GET", "/probe?until=%20close%20&times=2"))
        try gateway.record(until: "1 open")
        gateway.beginStopping()
        #expect(try open.receiveAll().last?.closeCode == 1001)
        try open.sendClose(1001)
        #expect(try late.readHead().hasPrefix("HTTP/1.1 101 "))
        #expect(try late.receive().closeCode == 1001)
        try late.sendClose(1001)
        #expect(try observer.response().body.contains("2 close 1001 by 6"))
    }
}
