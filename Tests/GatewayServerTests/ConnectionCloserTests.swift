import GatewayIO
import TestSupport
import Testing

@testable import GatewayServer

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
            try client.send(ClientFrame(1, Array("last".utf8)).bytes + ClientFrame(8, [0x0B, 0xB8]).bytes)
        },
        Ending("the peer's stream ends", close: "close 1006 by 4 reason") { client, _ in client.finishSending() },
        Ending("the peer resets", close: "close 1006 by 4 reason") { client, _ in client.reset() },
        Ending("the peer ends inside a frame", close: "close 1006 by 4 reason") { client, _ in
            try client.send(Array(ClientFrame(1, Array("half".utf8)).bytes.dropLast(2)))
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
            ClientFrame(1, Array("close:1000:".utf8)).bytes + ClientFrame(1, Array("unheard".utf8)).bytes
                + ClientFrame(9, Array("unheard".utf8)).bytes)
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

@Suite("A connection closer, turn by turn")
struct ConnectionCloserTurnTests {
    /// A worker with the fixture that hears and tells, and a peer of its.
    private func start(_ route: String = "", window: Int = .max) throws -> (StepWorker, StepWorker.Peer) {
        let steps = try StepWorker(handler: "fixture_probe", route: route)
        return (steps, steps.open(window: window))
    }

    private func endings(_ steps: StepWorker) -> [String] { steps.record().endings }

    @Test func `answers the peer's Close and frees the slot in the same turn`() throws {
        let (steps, peer) = try start()
        let id = try #require(peer.id)
        peer.say(ClientFrame(1, Array("last".utf8)).bytes + ClientFrame(8, [0x03, 0xE8, 0x62]).bytes)
        steps.step()
        #expect(peer.frames() == [.text("last"), .close(1000, "b")])
        // Both Close frames have passed: there is nothing to wait for, and a layer still has its last word.
        #expect(peer.place == nil && peer.isFinished && steps.isDeserted)
        #expect(!steps.worker.port.sharedTable.isOpen(id))
        #expect(steps.worker.port.sharedTable.module(of: id) == nil)
        #expect(endings(steps) == ["1 close 1000 by 1 reason b sends -1"])
    }

    @Test func `a Close of the handler waits for the peer's, and what comes before that is nobody's`() throws {
        let (steps, peer) = try start()
        let id = try #require(peer.id)
        peer.say("close:4000:bye", "unheard")
        steps.step()
        #expect(peer.frames() == [.close(4000, "bye")])
        #expect(peer.phase == .closing && !steps.worker.port.sharedTable.isOpen(id))
        // Its handler may still name it.
        #expect(steps.worker.port.sharedTable.module(of: id) != nil)
        #expect(endings(steps).isEmpty)
        peer.say("unheard")
        peer.say(ClientFrame(9).bytes)
        steps.step()
        #expect(peer.phase == .closing && peer.frames().isEmpty)
        peer.sayClose(4000)
        steps.step()
        #expect(peer.place == nil && peer.frames().isEmpty && steps.isDeserted)
        let record = steps.record()
        #expect(record.endings == ["1 close 4000 by 2 reason bye sends -1"])
        #expect(!record.contains { $0.contains("message") || $0.contains("ping") })
    }

    @Test func `where both sides close at once each says it once`() throws {
        let (steps, peer) = try start()
        peer.say(ClientFrame(1, Array("close:4000:ours".utf8)).bytes + ClientFrame(8, [0x0F, 0xA1]).bytes)
        steps.step()
        #expect(peer.frames() == [.close(4000, "ours")])
        #expect(peer.place == nil && steps.isDeserted)
        #expect(endings(steps) == ["1 close 4000 by 2 reason ours sends -1"])
    }

    @Test func `a second close has no effect`() throws {
        let (steps, peer) = try start()
        let place = try #require(peer.place)
        steps.onWorker {
            for code in [4001, 4002] as [UInt16] {
                steps.worker.closer.beginClosing(place, code: code, reason: [], by: 2, on: steps.worker)
            }
        }
        steps.step()
        #expect(peer.frames() == [.close(4001)])
        peer.sayClose(4001)
        steps.step()
        #expect(endings(steps) == ["1 close 4001 by 2 reason  sends -1"])
    }

    private static let violations: [(ClientFrame, UInt16, String)] = [
        (ClientFrame(1, [1]).with { $0.isMasked = false }, 1002, "-4 a client frame is not masked"),
        (ClientFrame(1, [1]).with { $0.reserved = 4 }, 1002, "-4 reserved bit"),
        (ClientFrame(8, [1]), 1002, ""), (ClientFrame(8, [0x03, 0xED]), 1002, ""),
        (ClientFrame(8, [0x03, 0xE8, 0xFF]), 1007, ""), (ClientFrame(1, [0xFF]), 1007, "-4 text is not UTF-8"),
        (ClientFrame(2, [0, 0, 0, 0, 0, 0, 0, 0, 0]), 1009, "-5 message is larger than max_message"),
    ]

    @Test(arguments: violations)
    func `a violation is told to both sides, and our side ends`(frame: ClientFrame, code: UInt16, error: String) throws
    {
        let (steps, peer) = try start("max_message 8;")
        peer.say(ClientFrame(1, [0x68]).bytes + frame.bytes + ClientFrame(1, [0x69]).bytes)
        steps.step()
        let frames = peer.frames()
        #expect(frames.first == .text("h") && frames.count == 2 && frames.last?.closeCode == code)
        #expect(peer.isFinished && peer.phase == .lingering)
        let record = steps.record()
        #expect(record.contains { $0.hasPrefix("1 error \(error)") })
        // It is told when our side has ended, whatever the peer does about its own.
        #expect(record.last?.hasPrefix("1 close \(code) by 3") == true)
        peer.say([UInt8](repeating: 0x81, count: 100_000))
        steps.step()
        #expect(peer.phase == .lingering && peer.heard().isEmpty)
        peer.finish()
        steps.step()
        #expect(peer.place == nil && steps.isDeserted)
        #expect(steps.record() == record, "it hears nothing more")
    }

    @Test(arguments: [
        ("abort", "close 1006 by 2"), ("close-abort", "close 1006 by 2"), ("thread-abort:1:1", "close 1006 by 2"),
    ])
    func `an abort needs no handshake`(command: String, line: String) throws {
        let (steps, peer) = try start()
        peer.say(command, "unheard")
        steps.step()
        #expect(peer.place == nil && steps.isDeserted)
        #expect(endings(steps) == ["1 \(line) reason  sends -1"])
    }

    @Test func `a connection that breaks is an error, and gone`() throws {
        let (steps, peer) = try start()
        peer.fail(Errno(104))
        steps.step()
        #expect(peer.place == nil && steps.isDeserted)
        let record = steps.record()
        #expect(record.contains { $0.hasPrefix("1 error -1 ") })
        #expect(record.endings == ["1 close 1006 by 4 reason  sends -1"])
    }

    @Test func `a peer that ends without a Close is 1006, and no error`() throws {
        let (steps, peer) = try start()
        peer.say(Array(ClientFrame(1, Array("half".utf8)).bytes.dropLast()))
        peer.finish()
        steps.step()
        #expect(peer.place == nil && steps.isDeserted)
        let record = steps.record()
        #expect(record.endings == ["1 close 1006 by 4 reason  sends -1"])
        #expect(!record.contains { $0.contains(" error ") })
    }

    @Test func `after the handler's close it is that code, also where the peer vanishes`() throws {
        let (steps, peer) = try start()
        peer.say("close:4002:why")
        steps.step()
        peer.fail(Errno(104))
        steps.step()
        #expect(peer.place == nil && steps.isDeserted)
        #expect(endings(steps) == ["1 close 4002 by 2 reason why sends -1"])
    }

    @Test func `another thread's close counts from its promise, also where the peer vanishes first`() throws {
        let (steps, peer) = try start()
        let id = try #require(peer.id)
        #expect(steps.host().close(id.number, 4003, nil, 0) == 0)
        #expect(steps.host().close(id.number, 4004, nil, 0) == -1)
        let place = try #require(peer.place)
        steps.onWorker { steps.worker.closer.lose(place, Errno(104), on: steps.worker) }
        steps.step()
        #expect(peer.place == nil && steps.isDeserted && peer.frames().isEmpty)
        #expect(endings(steps) == ["1 close 4003 by 2 reason  sends -1"])
    }

    @Test func `a slow consumer gets what was queued, and then 1013`() throws {
        let (steps, peer) = try start("send_buffer 8k;", window: 1000)
        #expect(peer.heard().count > 0)
        peer.say("fill:100:1000")
        steps.step()
        #expect(peer.phase == .closing && peer.isBlocked)
        let record = steps.record()
        let line = try #require(record.first { $0.contains("flood ended") })
        let taken = try #require(line.split(separator: " ").compactMap { Int($0.filter(\.isNumber)) }.dropFirst().first)
        #expect(line == "flood ended with -1 after \(taken), pressure 1" && (8...10).contains(taken))
        peer.widen(by: 1_000_000)
        steps.step()
        let frames = peer.frames()
        #expect(frames.last == .close(1013, "slow consumer") && frames.count == taken + 1)
        peer.sayClose(1013)
        steps.step()
        #expect(peer.place == nil && steps.isDeserted)
        let heard = steps.record()
        #expect(heard.suffix(2).map { $0.prefix(12) } == ["1 error -5 m", "1 close 1013"])
    }

    @Test func `what waits for a peer goes before our Close, and its end behind that`() throws {
        let (steps, peer) = try start(window: 200)
        peer.say(String(repeating: "x", count: 500))
        steps.step()
        #expect(peer.isBlocked)
        peer.say(ClientFrame(1, [0xFF]))
        steps.step()
        #expect(peer.phase == .ending && !peer.isFinished && endings(steps).isEmpty)
        peer.widen(by: 1000)
        steps.step()
        #expect(peer.frames().map(\.opcode) == [1, 8])
        #expect(peer.phase == .lingering && peer.isFinished && endings(steps).count == 1)
    }

    @Test func `a worker that stops asks every peer to go, and cuts off who does not`() throws {
        let (steps, polite) = try start("close_timeout 1s;")
        let (mute, silent, half) = (steps.open(), steps.connect(), steps.connect(saying: "GET /echo HT"))
        steps.step()
        steps.onWorker { steps.worker.beginStopping() }
        steps.step()
        for peer in [polite, mute] { #expect(peer.frames() == [.close(1001, "the gateway is shutting down")]) }
        #expect(silent.place == nil && half.phase == .head)
        polite.sayClose(1001)
        steps.step()
        #expect(polite.place == nil && mute.phase == .closing)
        // close_timeout.
        steps.step(ticks: 32)
        #expect(mute.place == nil && half.phase == .head)
        // Half a second later whatever is left.
        steps.step(ticks: 16)
        #expect(half.place == nil && steps.isDeserted)
    }

    @Test func `a request that comes while the worker stops is told so`() throws {
        let (steps, _) = try start()
        let half = steps.connect(saying: "GET /echo HTTP/1.1\r\nHost: a\r\n")
        steps.step()
        steps.onWorker { steps.worker.beginStopping() }
        half.say(Array("\r\n".utf8))
        steps.step()
        let said = half.response()
        #expect(said.hasPrefix("HTTP/1.1 503 ") && said.hasSuffix("draining: the gateway is shutting down\n"))
        #expect(half.phase == .lingering)
    }

    @Test func `an upgrade whose peer left before its answer is opened and closed in one go`() throws {
        let (steps, _) = try start()
        let peer = steps.open("/echo?upgrade=held")
        #expect(peer.phase == .answering)
        peer.finish()
        steps.step()
        // Nothing is read while the answer is awaited; the end shows when it comes.
        #expect(peer.phase == .answering)
        _ = steps.get("/echo?do=answer")
        steps.step()
        #expect(peer.place == nil)
        #expect(endings(steps) == ["2 close 1006 by 4 reason  sends -1"])
    }
}
