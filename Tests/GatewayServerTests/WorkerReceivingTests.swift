import TestSupport
import Testing

@Suite("Messages reach the handler whole, in order, and only while it reads")
struct WorkerReceivingTests {
    @Test("what was read is held back while reading is off, and comes in order when it is on again")
    func readingOff() throws {
        let gateway = try TestGateway()
        let client = try gateway.connect()
        let burst = ["reading:0", "one", "two"].flatMap { ClientFrame(1, Array($0.utf8)).bytes }
        try client.send(burst)
        try gateway.record(until: "1 reading 0")
        try client.send("three")
        let other = try gateway.connect()
        try other.send("conns")
        #expect(try other.receive() == .text("conns 2 self 1"))
        #expect(try !gateway.record().contains { $0.hasPrefix("1 message") })
        try other.send("reading-others:1")
        for text in ["one", "two", "three"] { #expect(try client.receive() == .text(text)) }
    }

    @Test("RFC 6455 5.5.3: of pings that a peer sends without reading, the last one is answered")
    func unreadPongs() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        _ = peer.frames()
        peer.stall()
        for burst in [[1, 2, 3], [4, 5], [6, 7, 8]] as [[UInt8]] {
            peer.say(burst.flatMap { ClientFrame(9, [$0]).bytes })
            steps.step()
        }
        peer.widen(by: 1000)
        steps.step()
        #expect(peer.frames() == [1, 2, 3, 8].map { TestClient.Frame(10, [$0]) })
        peer.say(ClientFrame(9, [9]))
        steps.step()
        #expect(peer.frames() == [TestClient.Frame(10, [9])])
    }

    @Test("what has come behind a large message waits while the answer to that does")
    func behindLargeMessages() throws {
        let steps = try StepWorker(route: "send_buffer 64k;")
        let peer = SocketPeer(of: steps, sendBuffer: 4096)
        peer.say(
            Array(
                "GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".utf8)
                + Array("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".utf8))
        steps.step()
        #expect(peer.frames().isEmpty)
        let messages = (0..<3).map { [UInt8](repeating: $0, count: 60_000) }
        let bytes = messages.flatMap { ClientFrame(2, $0).bytes }
        peer.say(Array(bytes[..<30_000]))
        steps.step()
        // The rest of the first one is received straight into it, and the others come along.
        peer.say(Array(bytes[30_000...]))
        var heard: [TestClient.Frame] = []
        for _ in 0..<200 where heard.count < 3 {
            steps.step()
            heard += peer.frames()
        }
        #expect(heard == messages.map { TestClient.Frame(2, $0) })
    }

    @Test("another connection's callback, and another thread, may switch reading off and on")
    func readingOffFromElsewhere() throws {
        let gateway = try TestGateway(threads: 1)
        let client = try gateway.connect()
        let other = try gateway.connect()
        try other.send("reading-others:0")
        try gateway.record(until: "reading of another 0")
        try client.send("held")
        #expect(!client.socket.hears(within: 60))
        try other.send("reading-others:1")
        #expect(try client.receive() == .text("held"))
        try client.send("thread-reading:0:0")
        try gateway.record(until: "thread reading 0")
        try client.send("held again")
        #expect(!client.socket.hears(within: 60))
        try other.send("reading-others:1")
        #expect(try client.receive() == .text("held again"))
    }

    @Test("a peer that resets while it is not read from is noticed")
    func resetWhileReadingOff() throws {
        let gateway = try TestGateway()
        let client = try gateway.connect()
        try client.send("reading:0")
        try gateway.record(until: "1 reading 0")
        client.reset()
        #expect(try gateway.record(until: "1 close").endings.count == 1)
    }

    @Test("RFC 6455 5.4 and 8.1: pieces of text are cut between characters, whatever the frames cut")
    func pieces() throws {
        let text = "aé€😀z"
        let bytes = Array(text.utf8)
        let gateway = try TestGateway(handler: "fixture_probe_stream")
        for cut in 1...4 {
            let client = try gateway.connect()
            var frames: [ClientFrame] = []
            for start in stride(from: 0, to: bytes.count, by: cut) {
                let part = Array(bytes[start..<min(start + cut, bytes.count)])
                frames.append(ClientFrame(start == 0 ? 1 : 0, part, isFinal: start + cut >= bytes.count))
            }
            for frame in frames {
                try client.send(frame)
                // A pong says that the frame before has been passed on.
                try client.send(ClientFrame(9))
                #expect(try client.receive() == TestClient.Frame(10))
            }
            let pieces = try gateway.record().filter { $0.hasPrefix("\(cut) piece 1 ") }.map { $0.dropFirst(10) }
            let texts = pieces.map { $0.drop { $0 != " " }.dropFirst().dropLast() }
            let flags = pieces.map { Int($0.prefix { $0 != " " }) }
            #expect(texts.joined() == text)
            #expect(flags.first == 2 && flags.last == 1)
            #expect(flags.dropFirst().dropLast().allSatisfy { $0 == 0 })
            #expect(texts.dropFirst().dropLast().allSatisfy { !$0.isEmpty })
        }
    }

    @Test(
        "text that ends inside a character is 1007, also for a streaming handler",
        arguments: ["fixture_probe", "fixture_probe_stream"])
    func unfinishedText(_ handler: String) throws {
        let gateway = try TestGateway(handler: handler)
        let client = try gateway.connect()
        try client.send(ClientFrame(1, [0x61, 0xE2], isFinal: false).bytes + ClientFrame(0, [0x82]).bytes)
        #expect(try client.receiveAll().last?.closeCode == 1007)
        #expect(try gateway.record(until: "close").endings.count == 1)
    }
}
