import TestSupport
import Testing

@Suite("Messages that come together go back in order, from where they lie or from a copy")
struct WorkerMessagesTests {
    private func frames(_ random: inout SeededRandom, _ lengths: [Int]) -> [ClientFrame] {
        lengths.map { length in
            let key = random.bytes(4)
            let isText = random.once(in: 2)
            let payload = isText ? random.bytes(length).map { 0x61 + $0 % 20 } : random.bytes(length)
            return ClientFrame(isText ? 1 : 2, payload).with { $0.key = key }
        }
    }

    private func echo(_ frame: ClientFrame) -> TestClient.Frame { .init(frame.opcode, frame.payload) }

    @Test("runs of any lengths, one write each", arguments: 0..<20 as Range<UInt64>)
    func runs(seed: UInt64) throws {
        let gateway = try TestGateway(route: "send_buffer 8m;", threads: 1)
        let client = try gateway.connect()
        var random = SeededRandom(seed: seed)
        let sizes = [0, 1, 4, 7, 20, 125, 126, 127, 1000, 4096, 0xFFFF, 0x10000]
        let lengths = (0..<40).map { _ in sizes[Int.random(in: 0..<sizes.count, using: &random)] }
        let sent = frames(&random, lengths)
        try client.send(sent.flatMap(\.bytes))
        for frame in sent { #expect(try client.receive() == echo(frame)) }
    }

    @Test("an answer that is no echo, a ping and a piece stand where they were asked for")
    func mixed() throws {
        let gateway = try TestGateway(threads: 1)
        let client = try gateway.connect()
        func text(_ text: String) -> ClientFrame { ClientFrame(1, Array(text.utf8)) }
        let sent = [
            text("one"), text("order:0"), text("two"), ClientFrame(9, [1, 2]), text("three"),
            ClientFrame(1, Array("fo".utf8), isFinal: false), ClientFrame(0, Array("ur".utf8)), text("five"),
            text("order:0"), text("order:0"), text("six"),
        ]
        let expected = ["one", "own", "two", "\u{1}\u{2}", "three", "four", "five", "own", "own", "six"]
        // More than once: what stood behind the first answers must not come back with the second ones.
        for _ in 0..<3 {
            try client.send(sent.flatMap(\.bytes))
            for word in expected { #expect(try client.receive().text == word) }
        }
    }

    @Test("what the kernel does not take at once is kept")
    func full() throws {
        let gateway = try TestGateway(route: "send_buffer 4m;", threads: 1)
        let client = try gateway.connect(receiveBuffer: 4096)
        var random = SeededRandom(seed: 7)
        for _ in 0..<10 {
            let sent = frames(&random, Array(repeating: 0, count: 150).map { 900 + $0 })
            try client.send(sent.flatMap(\.bytes))
            for frame in sent { #expect(try client.receive() == echo(frame)) }
        }
        // All of it waits in the gateway before the first byte is read.
        let sent = frames(&random, Array(repeating: 5000, count: 300))
        try client.send(sent.flatMap(\.bytes))
        for frame in sent { #expect(try client.receive() == echo(frame)) }
    }

    @Test("answers are not overwritten by what is read behind a large message", arguments: [20_000, 30_000, 65_000])
    func largeBehindSmall(_ length: Int) throws {
        let gateway = try TestGateway(route: "send_buffer 8m;", threads: 1)
        let client = try gateway.connect()
        var random = SeededRandom(seed: UInt64(length))
        for _ in 0..<20 {
            // From the next one on only the front is read at first, and the rest where it belongs.
            let large = frames(&random, [100_000])
            try client.send(large[0].bytes)
            #expect(try client.receive() == echo(large[0]))
            let lengths = Array(repeating: 100, count: 10) + [length] + Array(repeating: 100, count: 30)
            let sent = frames(&random, lengths)
            try client.send(sent.flatMap(\.bytes))
            for frame in sent { #expect(try client.receive() == echo(frame)) }
        }
    }

    @Test("a peer that reads late gets every answer to what was read from it")
    func readsLate() throws {
        let gateway = try TestGateway(route: "ping_interval off;", threads: 1)
        let client = try gateway.connect(receiveBuffer: 4096)
        var random = SeededRandom(seed: 3)
        let sent = frames(&random, Array(repeating: 1 << 20, count: 8))
        let bytes = sent.flatMap(\.bytes)
        let socket = client.socket
        nonisolated(unsafe) let sender = socket
        let thread = RunningThread { try? sender.send(bytes) }
        for frame in sent { #expect(try client.receive() == echo(frame)) }
        thread.join()
    }

    @Test("text that is none fails the connection behind the answers to what came before it")
    func invalid() throws {
        let gateway = try TestGateway(threads: 1)
        let client = try gateway.connect()
        let sent = [
            ClientFrame(1, Array("größer".utf8)), ClientFrame(2, [0xFF]), ClientFrame(1, [0x61, 0xC3]),
            ClientFrame(1, Array("never".utf8)),
        ]
        try client.send(sent.flatMap(\.bytes))
        #expect(try client.receiveAll() == [.text("größer"), .init(2, [0xFF]), .close(1007, "text is not UTF-8")])
    }

    @Test("nothing is delivered behind a close or an abort of the handler", arguments: ["close:4001", "abort"])
    func ends(_ command: String) throws {
        let gateway = try TestGateway(threads: 1)
        let client = try gateway.connect()
        let sent = ["one", command, "two", "three"].map { ClientFrame(1, Array($0.utf8)) }
        try client.send(sent.flatMap(\.bytes))
        let received = (try? client.receiveAll()) ?? []
        #expect(!received.contains(.text("two")))
        client.finishSending()
        let record = try gateway.record(until: "close")
        #expect(record.contains { $0.hasPrefix("1 close ") && $0.contains(" by ") })
    }

    @Test("a limit holds for messages that come in one frame, too", arguments: [100, 1000])
    func limit(_ most: Int) throws {
        let gateway = try TestGateway(route: "max_message \(most); max_frame \(most);", threads: 1)
        let client = try gateway.connect()
        let sent = [most, most + 1].map { ClientFrame(2, [UInt8](repeating: 9, count: $0)) }
        try client.send(sent.flatMap(\.bytes))
        let received = try client.receiveAll()
        #expect(received.count == 2)
        #expect(received.first == echo(sent[0]))
        #expect(received.last?.closeCode == 1009)
    }
}
