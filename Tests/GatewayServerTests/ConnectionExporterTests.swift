import Bytes
import CGatewayABI
import GatewayIO
import Synchronization
import TestSupport
import Testing
import WebSocket

@testable import GatewayServer

/// Connections go from one worker to another as if those were of two processes; their peers notice nothing.
@Suite("A connection goes on in another process")
struct ConnectionExporterTests {
    private func say(_ text: String, _ peer: SocketPeer, _ steps: StepWorker) -> [String] {
        peer.say(text)
        steps.step()
        return peer.texts
    }

    @Test func `with its number, its state and its counts`() throws {
        let crossing = try Crossing()
        let peers = [crossing.open(), crossing.open(), crossing.open()]
        #expect(say("a", peers[1], crossing.old) == ["1 1 a"])
        try crossing.cross()
        #expect(crossing.figures == [3, 0, 0, 1] && crossing.landed == [3, 0])
        #expect(crossing.old.isDeserted)
        #expect(crossing.transfer?.remainder == .init())
        #expect(say("b", peers[1], crossing.new) == ["1 2 b"] && say("a", peers[2], crossing.new) == ["1 1 a"])
        for peer in peers { #expect(peer.place(in: crossing.new)?.pointee.id == peer.id) }
        let place = try #require(peers[1].place(in: crossing.new))
        #expect(place.pointee.messagesIn == 2 && place.pointee.messagesOut == 2)
        #expect(crossing.old.get("/echo").hasSuffix("\r\n\r\n1 0 1"))
        #expect(crossing.new.get("/echo").hasSuffix("\r\n\r\n1 3 2"))
        for peer in peers { peer.finish() }
        crossing.new.step()
        #expect(crossing.new.isDeserted)
    }

    @Test func `a new peer never gets the number of one that came`() throws {
        let crossing = try Crossing()
        let peers = [crossing.open(), crossing.open()]
        try crossing.cross()
        let stranger = crossing.new.open()
        #expect(stranger.id != nil && !peers.contains { $0.id == stranger.id })
        #expect(stranger.id?.slot == 2)
    }

    // MARK: Input

    /// Whole messages, fragments, a ping between them, and an end.
    private static let stream: [UInt8] =
        ClientFrame(1, Array("añ€😀".utf8)).bytes
        + ClientFrame(1, Array("hal".utf8), isFinal: false).bytes + ClientFrame(9, [1, 2, 3]).bytes
        + ClientFrame(0, Array("f€".utf8)).bytes + ClientFrame(10, [4]).bytes
        + ClientFrame(2, [UInt8](repeating: 0x61, count: 130)).bytes + ClientFrame(1, []).bytes

    @Test func `whatever has come by half: at every byte of a stream`() throws {
        let crossing = try Crossing(capacity: 512)
        let steady = crossing.open()
        steady.say(Self.stream)
        crossing.old.step()
        let expected = steady.heard()
        #expect(expected.count > 150)
        for cut in 0...Self.stream.count {
            let peer = crossing.open()
            peer.say(Array(Self.stream[..<cut]))
            crossing.old.step()
            try crossing.cross()
            let former = peer.heard()
            peer.say(Array(Self.stream[cut...]))
            crossing.new.step()
            #expect(former + peer.heard() == expected, "cut at \(cut)")
            #expect(peer.place(in: crossing.old) == nil)
            peer.finish()
            crossing.new.step()
        }
    }

    @Test func `what has not been read by the old one is read by the new one`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        let transfer = try ConnectionTransfer(
            ["/echo": (crossing.old.route().handler, HandoverFacts(crossing.new.binding().pointee.generation))],
            to: crossing.ferry, patience: 1000, spread: 1, progress: ControlWaker())
        crossing.old.worker.port.post(.export(transfer))
        crossing.old.turnWithMail()
        peer.say("a", "b")
        try crossing.land()
        #expect(peer.texts == ["1 1 a", "1 2 b"])
    }

    @Test func `text that was found good so far fails where it becomes bad`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        peer.say(ClientFrame(1, [0x61, 0xE2], isFinal: false).bytes)
        crossing.old.step()
        try crossing.cross()
        peer.say(ClientFrame(0, [0x61]).bytes)
        crossing.new.step()
        #expect(peer.frames().map(\.closeCode) == [1007])
    }

    @Test func `reading that is off stays off, and what waits is read when it is on again`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        #expect(say("deaf", peer, crossing.old) == ["1 1 deaf"])
        peer.say("a")
        crossing.old.step()
        try crossing.cross()
        peer.say("b")
        crossing.new.step()
        #expect(peer.texts.isEmpty)
        let place = try #require(peer.place(in: crossing.new))
        crossing.new.worker.setReading(place, true)
        crossing.new.step()
        #expect(peer.texts == ["1 2 a", "1 3 b"])
    }

    // MARK: Compression

    private final class Client {
        let deflater: Deflater
        let inflater: Inflater

        init() throws {
            deflater = try #require(Deflater(.init(level: 6, windowBits: 15), keepsContext: true))
            inflater = try #require(Inflater(windowBits: 15, keepsContext: true))
        }

        func frame(_ text: String) -> [UInt8] {
            var packed = ByteBuffer()
            _ = Array(text.utf8).withUnsafeBytes { deflater.deflate($0, into: &packed) }
            return ClientFrame(1, Array(packed.bytes)).with { $0.reserved = 0b100 }.bytes
        }

        /// - Parameter bytes: a frame of the server.
        func text(_ frame: TestClient.Frame) -> String? {
            var output = ByteBuffer()
            let violation = frame.payload.withUnsafeBytes {
                inflater.inflate($0, isLast: true, into: &output, limit: 1 << 20)
            }
            return violation == nil ? String(decoding: Array(output.bytes), as: UTF8.self) : nil
        }
    }

    private static let deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n"

    @Test(arguments: [1, 6])
    func `compressed both ways, with the windows of both`(level: Int) throws {
        let crossing = try Crossing(route: "compression on { level \(level); threshold 1; }")
        let client = try Client()
        let peer = crossing.open(headers: Self.deflate)
        let words = "the windows of both sides are known to the next one. "
        var steps = crossing.old
        for round in 1...8 {
            let text = String(repeating: words, count: round)
            peer.say(client.frame(text))
            steps.step()
            let frames = peer.frames()
            #expect(frames.count == 1 && frames.first.map { client.text($0) } == "1 \(round) \(text.prefix(128))")
            if round == 4 {
                try crossing.cross()
                #expect(crossing.figures[0] == 1)
                steps = crossing.new
            }
        }
        // The window of the peer is needed, and that of the server is there.
        let place = try #require(peer.place(in: crossing.new))
        #expect(place.pointee.rareState?.compression?.inflater != nil)
    }

    @Test func `half a compressed message is waited for`() throws {
        let crossing = try Crossing(route: "compression on { threshold 1; }")
        let client = try Client()
        let peer = crossing.open(headers: Self.deflate)
        let frame = client.frame("a message that is long enough to be cut")
        peer.say(Array(frame[..<20]))
        crossing.old.step()
        try crossing.cross()
        #expect(crossing.figures == [0, 0, 0, 1] && crossing.transfer?.remainder.busy == 1)
        peer.say(Array(frame[20...]))
        crossing.old.step()
        crossing.old.step(ticks: 1)
        try crossing.land()
        #expect(crossing.figures[0] == 1)
        let frames = peer.frames()
        #expect(frames.first.map { client.text($0) } == "1 1 a message that is long enough to be cut")
        peer.say(client.frame("another message that is long enough"))
        crossing.new.step()
        #expect(peer.frames().first.map { client.text($0) } == "1 2 another message that is long enough")
    }

    @Test func `where the new one does not compress, what was agreed on holds`() throws {
        let crossing = try Crossing(route: "compression on { threshold 1; }", newRoute: "compression off;")
        let client = try Client()
        let peer = crossing.open(headers: Self.deflate)
        peer.say(client.frame("one and one and one"))
        crossing.old.step()
        #expect(peer.frames().first.map { client.text($0) } == "1 1 one and one and one")
        try crossing.cross()
        peer.say(client.frame("one and one and one"))
        crossing.new.step()
        #expect(peer.frames() == [.text("1 2 one and one and one")])
    }

    // MARK: Output

    @Test func `output that nobody has read, with half a frame`() throws {
        let route = "send_buffer 64m; write_timeout off;"
        let crossing = try Crossing(route: route)
        let steady = crossing.open(sendBuffer: 1 << 14)
        let peer = crossing.open(sendBuffer: 1 << 14)
        for each in [steady, peer] { each.say("flood") }
        crossing.old.step()
        let front = peer.heard()
        #expect(!front.isEmpty && front.count < 1 << 20)
        try crossing.cross()
        #expect(crossing.figures[0] == 2)
        var (heard, expected) = (front, steady.heard())
        while true {
            crossing.new.step()
            let (more, other) = (peer.heard(), steady.heard())
            if more.isEmpty && other.isEmpty { break }
            heard += more
            expected += other
        }
        #expect(heard.count > 16 << 20 && heard == expected)
        #expect(say("a", peer, crossing.new).last == "1 2 a")
        #expect(peer.place(in: crossing.new)?.pointee.outbox.isEmpty == true)
    }

    @Test func `the sender that was told to wait hears that it need not any more`() throws {
        let crossing = try Crossing(route: "send_buffer 1m; slow_consumer drop_new; write_timeout off;")
        let peer = crossing.open(sendBuffer: 1 << 14)
        peer.say("flood")
        crossing.old.step()
        try crossing.cross()
        var texts: [String] = []
        for _ in 0..<200 {
            crossing.new.step()
            texts += peer.texts
        }
        #expect(texts.contains("1 drained"))
    }

    @Test func `an answer to a ping that waits for room`() throws {
        let crossing = try Crossing(route: "send_buffer 64m; write_timeout off;")
        let peer = crossing.open(sendBuffer: 1 << 14)
        peer.say("flood")
        crossing.old.step()
        peer.say(ClientFrame(9, [7]).bytes + ClientFrame(9, [8]).bytes)
        crossing.old.step()
        // Above the high-water mark it is not read from any more; the second round is.
        let waits = peer.place(in: crossing.old)?.pointee.rareState?.unansweredPing
        try crossing.cross()
        var frames: [TestClient.Frame] = []
        for _ in 0..<2000 {
            crossing.new.step()
            let more = peer.frames()
            frames += more.filter { $0.opcode == 10 }
        }
        #expect(frames.last == TestClient.Frame(10, [8]), "\(waits ?? [])")
    }

    @Test func `half a message of the handler is waited for`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        #expect(say("begin", peer, crossing.old).first == "<")
        try crossing.cross()
        #expect(crossing.figures == [0, 0, 0, 1] && crossing.transfer?.remainder.busy == 1)
        peer.say("end")
        crossing.old.step()
        crossing.old.step(ticks: 1)
        try crossing.land()
        #expect(crossing.figures[0] == 1)
        _ = peer.frames()
        #expect(say("a", peer, crossing.new) == ["1 3 a"])
    }

    // MARK: What the handler has of it

    @Test func `topics: what is published there reaches it, and nothing here does`() throws {
        let crossing = try Crossing()
        let peers = [crossing.open(), crossing.open()]
        for peer in peers { peer.say("join") }
        crossing.old.step()
        for peer in peers { _ = peer.frames() }
        try crossing.cross()
        #expect(crossing.old.server.context.topics.count == 0)
        #expect(say("tell", peers[0], crossing.new) == ["all", "1 2 tell"])
        #expect(peers[1].texts == ["all"])
    }

    @Test func `timers go off when they would have, under their numbers`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        peer.say("later")
        crossing.old.step()
        _ = peer.frames()
        crossing.old.step(after: 15)
        try crossing.cross { record in
            #expect(record.handler?.timers.count == 1)
            let timer = record.handler?.timers.first
            #expect(timer?.token == 7 && timer?.interval == 20_000_000 && timer?.number == 1)
            #expect((1...5_000_000).contains(timer?.dueIn ?? 0))
        }
        crossing.new.step(after: 3)
        #expect(peer.texts.isEmpty)
        crossing.new.step(after: 3)
        #expect(peer.texts == ["1 event 7"])
        crossing.new.step(after: 20)
        #expect(peer.texts == ["1 event 7"])
        crossing.old.step(after: 100)
        #expect(peer.texts.isEmpty)
    }

    @Test func `its subprotocol, and its request where that is kept`() throws {
        let crossing = try Crossing("fixture_counter_keeping", route: "subprotocols a b;")
        let peer = crossing.open("?x=1", headers: "Sec-WebSocket-Protocol: c, b\r\nX-Token: t\r\n")
        let uuid = peer.place(in: crossing.old)?.pointee.exchange?.uuid
        try crossing.cross()
        let place = try #require(peer.place(in: crossing.new))
        let exchange = place.pointee.exchange
        let address = exchange?.record.request
        let request = try #require(address).pointee
        func text(_ view: gw_str) -> String {
            String(decoding: UnsafeRawBufferPointer(start: view.ptr, count: view.len), as: UTF8.self)
        }
        #expect(place.pointee.rareState?.subprotocol == "b" && text(request.subprotocol) == "b")
        #expect(text(request.query) == "x=1" && text(request.path) == "/echo" && text(request.host) == "localhost")
        #expect(request.headers.len == 7 && text(request.headers.ptr[5].value) == "c, b")
        #expect(request.id == peer.id.number && request.subprotocols.len == 2)
        #expect(request.flags & UInt32(GW_REQ_MIGRATED) != 0)
        #expect(uuid != nil && uuid?.0 == exchange?.uuid.0 && uuid?.1 == exchange?.uuid.1)
        let unkept = try Crossing()
        let other = unkept.open()
        try unkept.cross()
        #expect(other.place(in: unkept.new).map { $0.pointee.exchange == nil } == true)
    }

    @Test func `a handler that keeps nothing is not asked`() throws {
        let crossing = try Crossing("fixture_counter_stateless_v1")
        let peer = crossing.open()
        try crossing.cross { #expect($0.handler?.state == nil) }
        #expect(say("a", peer, crossing.new) == ["1 0 a"])
        let echo = try Crossing("echo")
        let other = echo.open()
        try echo.cross()
        #expect(say("a", other, echo.new) == ["a"])
    }

    @Test func `what another thread posts after it goes after it`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        let context = crossing.old.binding().pointee.instanceContext
        try crossing.cross()
        let event = HandlerEvent(
            instanceContext: context, connection: peer.id.number, token: 9, kind: .post([1, 2]))
        crossing.old.worker.port.postedBytes.add(event.weight, ordering: .relaxed)
        crossing.old.worker.port.post(.event(event))
        crossing.old.worker.port.post(.setReading(peer.id, false, tellsPool: true))
        crossing.old.step()
        try crossing.land()
        #expect(peer.texts == ["1 event 9"])
        #expect(crossing.old.worker.port.postedBytes.load(ordering: .relaxed) == 0)
        #expect(crossing.new.worker.port.postedBytes.load(ordering: .relaxed) == 0)
        #expect(say("a", peer, crossing.new).isEmpty)
    }

    @Test func `what another thread posts before it waits for that`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        let event = HandlerEvent(
            instanceContext: crossing.old.binding().pointee.instanceContext, connection: peer.id.number, token: 9,
            kind: .post([1, 2]))
        crossing.old.worker.port.postedBytes.add(event.weight, ordering: .relaxed)
        crossing.old.worker.port.post(.frame(peer.id, head: 0x81, payload: [0x61]))
        crossing.old.worker.port.post(.event(event))
        try crossing.cross()
        #expect(peer.texts == ["a", "1 event 9"] && crossing.figures[0] == 1)
    }

    // MARK: Times

    @Test func `pings, pongs and silence go on where they stood`() throws {
        let crossing = try Crossing(route: "ping_interval 320ms; pong_timeout 320ms; idle_timeout 1h;")
        let (silent, lively) = (crossing.open(), crossing.open())
        crossing.old.step(ticks: 11)
        let pings = [silent, lively].map { $0.frames() }
        #expect(pings.map { $0.map(\.opcode) } == [[9], [9]])
        try crossing.cross()
        lively.say(ClientFrame(10, pings[1][0].payload).bytes)
        crossing.new.step()
        crossing.new.step(ticks: 9)
        #expect(silent.frames().isEmpty)
        crossing.new.step(ticks: 3)
        #expect(silent.frames().map(\.closeCode) == [1011])
        #expect(lively.frames().map(\.opcode) == [9])
    }

    // MARK: Before and after

    @Test func `a connection that waits for a request, with half of it`() throws {
        let crossing = try Crossing()
        let request = Array("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
        for cut in [0, 1, 20, request.count - 1] {
            let peer = crossing.connect(saying: String(decoding: request + request[..<cut], as: UTF8.self))
            crossing.old.step()
            let first = peer.heard()
            #expect(first.starts(with: Array("HTTP/1.1 200 OK\r\n".utf8)))
            try crossing.cross { #expect($0.phase == .head && $0.input.leftover.count == cut) }
            #expect(crossing.figures[0] == 1)
            peer.say(Array(request[cut...]))
            crossing.new.step()
            let second = String(decoding: peer.heard(), as: UTF8.self)
            #expect(second.hasSuffix("\r\n\r\n1 0 0"), "\(second)")
        }
    }

    @Test func `the closing handshake ends elsewhere, and the handler has heard of it`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        peer.say("fail")
        crossing.old.step()
        #expect(peer.frames().map(\.closeCode) == [1011])
        try crossing.cross()
        #expect(crossing.figures[0] == 1 && crossing.old.isDeserted)
        #expect(crossing.old.get("/echo").hasSuffix("\r\n\r\n1 0 1"))
        #expect(crossing.new.get("/echo").hasSuffix("\r\n\r\n1 0 0"))
        peer.say(ClientFrame(1, [0x61]).bytes)
        crossing.new.step()
        #expect(peer.heard().isEmpty && !peer.hasEnded)
        peer.say(ClientFrame(8, TestClient.Frame.close(1011).payload).bytes)
        crossing.new.step()
        #expect(peer.heard().isEmpty && peer.hasEnded)
        #expect(crossing.new.isDeserted)
    }

    @Test func `a closing handshake that takes too long is cut off there`() throws {
        let crossing = try Crossing(route: "close_timeout 320ms;")
        let peer = crossing.open()
        peer.say("fail")
        crossing.old.step()
        crossing.old.step(ticks: 5)
        try crossing.cross()
        _ = peer.frames()
        crossing.new.step(ticks: 4)
        _ = peer.heard()
        #expect(!peer.hasEnded)
        crossing.new.step(ticks: 2)
        _ = peer.heard()
        #expect(peer.hasEnded && crossing.new.isDeserted)
    }
}
