import Glibc
import TestSupport
import Testing

@Suite("Sends: in order, from every thread, and bounded")
struct WorkerSendingTests {
    @Test("what a thread sends comes in its order, behind what the connection's own thread sent before")
    func order() throws {
        let gateway = try TestGateway()
        let client = try gateway.connect()
        try client.send("order:500")
        #expect(try client.receive() == .text("own"))
        for number in 0..<500 { #expect(try client.receive() == .text("\(number)")) }
        #expect(try gateway.record(until: "thread sent").contains("thread sent 500 refused 0"))
    }

    @Test("several clients hear what one of them says, across workers")
    func chat() throws {
        let gateway = try TestGateway()
        let clients = try (0..<6).map { _ in try gateway.connect() }
        try gateway.record(until: "open", times: 6)
        for (index, client) in clients.enumerated() {
            try client.send("all:from \(index)")
            for listener in clients { #expect(try listener.receive() == .text("from \(index)")) }
        }
    }

    /// With the thread sanitizer a module in Swift needs symbols that the test runner does not export.
    private static let canLoadSwift = dlsym(dlopen(nil, RTLD_NOW), "__tsan_init") == nil

    @Test("clients of the chat hear each other with their numbers", .enabled(if: canLoadSwift))
    func sampleChat() throws {
        let gateway = try TestGateway(rest: "route /chat { handler chat; }")
        let clients = try (0..<4).map { _ in try TestClient(port: gateway.port, open: "/chat") }
        for client in clients {
            // Who has got an answer to a ping has been opened: then nobody misses the first line.
            try client.send(ClientFrame(9))
            #expect(try client.receive() == TestClient.Frame(10))
        }
        try clients[2].send("hello")
        let lines = try clients.map { try $0.receive().text }
        #expect(Set(lines).count == 1 && lines[0].hasSuffix("]: hello"))
    }

    @Test("send_buffer bounds what the connection's own thread queues; one message of any size is taken")
    func ownThread() throws {
        let gateway = try TestGateway(route: "send_buffer 64k;")
        let client = try gateway.connect(receiveBuffer: 4096)
        try client.send("fill:1:20000000")
        #expect(try gateway.record(until: "flood ended").contains("flood ended with 1 after 1, pressure 1"))
        #expect(try client.receive().payload.count == 20_000_000)
        #expect(try gateway.record(until: "drained").filter { $0 == "1 drained" }.count == 1)
    }

    @Test(
        "send_buffer bounds what other threads send while the owner is busy",
        arguments: [
            (size: 1000, taken: 16), (size: 0, taken: 8192), (size: 100_000, taken: 1),
        ])
    func otherThreads(_ test: (size: Int, taken: Int)) throws {
        let gateway = try TestGateway(route: "send_buffer 16k;")
        let client = try gateway.connect()
        try client.send("thread-flood:1000000:\(test.size)")
        let line = try gateway.record(until: "flood ended").last { $0.hasPrefix("flood") }
        #expect(line == "flood ended with -1 after \(test.taken), pressure 1")
        let frames = try client.receiveAll()
        #expect(frames.count == test.taken + 1)
        #expect(frames.last == .close(1013, "slow consumer"))
        client.finishSending()
        #expect(try gateway.record(until: "close").endings == ["1 close 1013 by 3 reason slow consumer sends -1"])
    }

    @Test("a thread that was told to wait hears `drained`")
    func drainedElsewhere() throws {
        let gateway = try TestGateway(route: "send_buffer 16k;")
        let client = try gateway.connect()
        for round in 1...20 {
            try client.send("thread-flood:12:1000")
            for _ in 0..<12 { #expect(try client.receive().payload.count == 1000) }
            try gateway.record(until: "1 drained", times: round)
        }
    }

    @Test("a peer that does not read is not read from")
    func peerIsThrottled() throws {
        let gateway = try TestGateway(route: "send_buffer 64k;")
        let client = try gateway.connect(receiveBuffer: 4096)
        // The client stops when the gateway has stopped reading: 12 MB would not fit anywhere.
        var sent = 0
        while client.socket.takes(within: 500), sent < 100_000 {
            try client.send((sent..<sent + 200).flatMap { ClientFrame(9, Self.numbered($0)).bytes })
            sent += 200
        }
        #expect(sent < 100_000)
        var pongs: [TestClient.Frame] = []
        while !client.socket.takes(within: 0) { pongs.append(try client.receive()) }
        try client.send("well")
        // RFC 6455 5.5.3: of pings that had to wait the most recent one is enough. That one is answered, be it behind
        // the message that came after it.
        var isWell = false
        while !isWell || pongs.last?.payload != Self.numbered(sent - 1) {
            let frame = try client.receive()
            if frame == .text("well") { isWell = true } else { pongs.append(frame) }
        }
        #expect(pongs.allSatisfy { $0.opcode == 10 && $0.payload.count == 125 })
        let numbers = pongs.map { Int(String(decoding: $0.payload.prefix(6), as: UTF8.self)) ?? -1 }
        #expect(numbers.first == 0 && zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
    }

    /// The payload of a ping: as long as may be, with six digits in front.
    private static func numbered(_ number: Int) -> [UInt8] {
        Array(String(1_000_000 + number).utf8.dropFirst()) + [UInt8](repeating: 1, count: 119)
    }
}
