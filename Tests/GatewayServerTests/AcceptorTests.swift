import Glibc
import TestSupport
import Testing

@testable import GatewayServer

/// What can only be looked at in a process of its own: descriptors and the time of the processor.
@Suite("Acceptor: descriptors run out and come back, nothing is left over, nobody spins")
struct AcceptorTests {
    @Test("out of descriptors: who is here is served, who waits is served when descriptors come back")
    func descriptorsRunOut() async {
        await #expect(processExitsWith: .success) {
            let gateway = try TestGateway()
            let early = try gateway.connect()
            try early.send("hello")
            #expect(try early.receive() == .text("hello"))
            var filler = Processes.fillDescriptors(leaving: 3)
            // Two for a client and its peer, one for a client whose peer cannot be.
            let last = try gateway.connect()
            let waiting = try TestClient(port: gateway.port)
            try waiting.send(TestClient.handshake("/probe"))
            for round in 0..<3 {
                try early.send("served \(round)")
                #expect(try early.receive() == .text("served \(round)"))
                #expect(!waiting.socket.hears(within: 120))
            }
            for descriptor in filler.suffix(4) { _ = close(descriptor) }
            filler.removeLast(4)
            #expect(try waiting.readHead().hasPrefix("HTTP/1.1 101 "))
            try last.send("still here")
            #expect(try last.receive() == .text("still here"))
            for descriptor in filler { _ = close(descriptor) }
        }
    }

    @Test("after many connections of every fate no descriptor is left over")
    func churn() async {
        await #expect(processExitsWith: .success) {
            let gateway = try TestGateway()
            try gateway.connect().reset()
            try gateway.record(until: " close ")
            let before = Processes.descriptors
            for round in 0..<300 {
                let client = try gateway.connect()
                switch round % 5 {
                case 0: client.reset()
                case 1: client.finishSending()
                case 2: try client.send("abort")
                case 3: try client.sendClose(1000)
                default: try client.send([0xFF, 0xFF])
                }
                if round % 5 > 1 { try client.expectEnd() }
            }
            #expect(try gateway.record(until: " close ", times: 301).endings.count == 301)
            // The last ones are still lingering until they have read that we ended.
            var after = Processes.descriptors
            for _ in 0..<100 where after > before {
                try gateway.record()
                after = Processes.descriptors
            }
            #expect(after <= before)
        }
    }

    @Test("input that nobody may read costs nothing, whoever forbade it")
    func doesNotSpin() async {
        await #expect(processExitsWith: .success) {
            let gateway = try TestGateway(threads: 1)
            let client = try gateway.connect()
            let other = try gateway.connect()
            try other.send("reading-others:0")
            try gateway.record(until: "reading of another 0")
            try client.send("unread")
            let before = Processes.processorMilliseconds
            #expect(!client.socket.hears(within: 500))
            #expect(Processes.processorMilliseconds - before < 100)
            client.close()
            #expect(!other.socket.hears(within: 300))
            #expect(Processes.processorMilliseconds - before < 150)
        }
    }
}

@Suite("An acceptor, turn by turn")
struct AcceptorTurnTests {
    private static let handshake = String(decoding: TestClient.handshake("/echo"), as: UTF8.self)

    @Test func `counts a peer while it is there`() throws {
        let steps = try StepWorker()
        let peers = [steps.open(), steps.open()]
        #expect(steps.server.context.connections.load(ordering: .relaxed) == 2)
        #expect(steps.worker.port.load.load(ordering: .relaxed) == 2)
        #expect(steps.route().connections.load(ordering: .relaxed) == 2)
        peers[0].finish()
        steps.step()
        #expect(steps.server.context.connections.load(ordering: .relaxed) == 1)
        #expect(steps.worker.port.load.load(ordering: .relaxed) == 1)
        peers[1].finish()
        steps.step()
        #expect(steps.isDeserted)
    }

    @Test(arguments: [handshake, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"])
    func `tells a surplus peer that there is no room, whatever it asks, and lets it go`(request: String) throws {
        let steps = try StepWorker()
        let peer = steps.connect(saying: request + request, isSurplus: true)
        #expect(steps.server.context.surplus.load(ordering: .relaxed) == 1)
        steps.step()
        let said = peer.response()
        #expect(said.hasPrefix("HTTP/1.1 503 ") && said.contains("\r\nConnection: close\r\n"))
        #expect(said.hasSuffix("\r\n\r\ntoo-many-connections: max_connections is reached\n"))
        #expect(peer.isFinished)
        peer.finish()
        steps.step()
        #expect(peer.place == nil && steps.isDeserted)
        #expect(steps.server.context.rejections.all.map(\.count) == [1])
    }

    @Test func `a surplus peer has two seconds to ask, others the time of the handshake`() throws {
        let steps = try StepWorker()
        let surplus = steps.connect(isSurplus: true)
        let other = steps.connect()
        steps.step(ticks: 62)
        #expect(surplus.phase == .head)
        steps.step(ticks: 1)
        #expect(surplus.place == nil && surplus.heard().isEmpty)
        #expect(other.phase == .head)
        #expect(steps.server.context.surplus.load(ordering: .relaxed) == 0)
        #expect(steps.server.context.connections.load(ordering: .relaxed) == 1)
    }

    @Test func `where the handshake has less time a surplus peer has no more`() throws {
        let steps = try StepWorker(rest: "defaults { handshake_timeout 320ms; }")
        let surplus = steps.connect(isSurplus: true)
        steps.step(ticks: 9)
        #expect(surplus.phase == .head)
        steps.step(ticks: 1)
        #expect(surplus.place == nil && steps.isDeserted)
    }

    @Test func `a peer for whom there is no slot is not counted`() throws {
        let steps = try StepWorker(capacity: 2)
        let peers = [steps.open(), steps.open()]
        #expect(steps.connect().id == nil)
        #expect(steps.connect(isSurplus: true).id == nil)
        #expect(steps.server.context.connections.load(ordering: .relaxed) == 2)
        #expect(steps.server.context.surplus.load(ordering: .relaxed) == 0)
        #expect(steps.worker.port.load.load(ordering: .relaxed) == 2)
        // Its place is the next one's.
        peers[1].finish()
        steps.step()
        let next = steps.open()
        #expect(next.id?.slot == peers[1].id?.slot && next.id != peers[1].id && next.phase == .open)
    }

    @Test func `takes nobody in while the worker stops`() throws {
        let steps = try StepWorker()
        steps.onWorker { steps.worker.beginStopping() }
        #expect(steps.connect().id == nil && steps.isDeserted)
    }
}

/// What this process has used up.
enum Processes {
    /// How many descriptors are open.
    static var descriptors: Int { (0..<4096).count { fcntl($0, F_GETFD) >= 0 } }

    /// Opens descriptors until none but `spare` can be had.
    static func fillDescriptors(leaving spare: Int) -> [Int32] {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = 256
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        var opened: [Int32] = []
        while case let number = open("/dev/null", O_RDONLY), number >= 0 { opened.append(number) }
        for descriptor in opened.suffix(spare) { _ = close(descriptor) }
        opened.removeLast(spare)
        return opened
    }

    /// Time all threads have spent, in and out of the kernel.
    static var processorMilliseconds: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000
            + Int(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000
    }
}
