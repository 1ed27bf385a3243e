import Glibc
import TestSupport
import Testing

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
