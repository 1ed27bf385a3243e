import TestSupport
import Testing

@testable import GatewayServer

@Suite("HandlerEvents: posts, timers and work come back as events, once, where they belong")
struct HandlerEventsTests {
    private func gateway(_ threads: Int = 2) throws -> TestGateway {
        try TestGateway(handler: "fixture_errands", threads: threads)
    }

    @Test("posts come back in order", arguments: ["", "thread "])
    func posts(_ thread: String) throws {
        let gateway = try gateway()
        let errands = try (0..<4).map { _ in try Errand(gateway) }
        for errand in errands { #expect(try errand.ask("gsub home") == "= 0 0") }
        for errand in errands {
            try errand.tell((0..<20).map { "\(thread)post \($0) data " })
            for number in 0..<20 { #expect(try errand.hear() == "event 2 \(number) data 0 generation 1") }
        }
        try errands[0].tell("\(thread)hpost 5 ")
        for errand in errands { #expect(try errand.hear() == "home 2 5 0 generation 1") }
    }

    @Test("a post never comes inside the callback that asked for it (R1)")
    func reentry() throws {
        let gateway = try gateway()
        let errand = try Errand(gateway)
        #expect(try errand.ask("post 1 ") == "= 0 0")
        #expect(try errand.hear() == "event 2 1 0 generation 1")
    }

    @Test("timers: once, again and again, cancelled", arguments: ["", "thread "])
    func timers(_ thread: String) throws {
        let gateway = try gateway()
        let errand = try Errand(gateway)
        #expect(try errand.ask("gsub home") == "= 0 0")
        try errand.tell(["\(thread)timer 3 1000 0", "\(thread)timer 1 0 0", "\(thread)timer 2 100 0"])
        for token in 1...3 { #expect(try errand.hear() == "event 1 \(token) 0 generation 1") }
        // It has gone off, so there is nothing to cancel.
        try errand.tell("\(thread)htimer 4 1 0")
        #expect(try errand.hear() == "home 1 4 0 generation 1")
        #expect(try errand.ask("\(thread)cancel") == "= -8 0")
        try errand.tell("\(thread)timer 5 1 1")
        for _ in 0..<20 { #expect(try errand.hear() == "event 1 5 0 generation 1") }
        try errand.tell(["!\(thread)cancel", "timer 6 20 0"])
        // What was under way comes before the answer, and nothing behind it.
        var line = try errand.hear()
        while line == "event 1 5 0 generation 1" { line = try errand.hear() }
        #expect(line == "= 0 0")
        #expect(try errand.hear() == "event 1 6 0 generation 1")
    }

    @Test("timers of a connection end with it")
    func timersEnd() throws {
        let gateway = try gateway(1)
        let first = try Errand(gateway)
        #expect(try first.ask("timer 1 20 0") == "= 0 0")
        #expect(try first.ask("post 1 ") == "= 0 0")
        #expect(try first.hear() == "event 2 1 0 generation 1")
        try first.tell(["post 2 ", "timer 2 0 0", "close "])
        #expect(try first.client.receiveAll() == [.close(1000)])
        let second = try Errand(gateway)
        try second.tell("timer 3 40 0")
        #expect(try second.hear() == "event 1 3 0 generation 1")
    }

    @Test("work is done beside the loop, and its end is told", arguments: ["", "thread "])
    func work(_ thread: String) throws {
        let gateway = try gateway()
        let errand = try Errand(gateway)
        let other = try Errand(gateway)
        #expect(try other.ask("gsub home") == "= 0 0")
        try errand.tell("\(thread)work 9")
        #expect(try errand.hear() == "event 3 9 9 generation 1")
        try errand.tell("\(thread)hwork 9")
        #expect(try other.hear() == "home 3 9 9 generation 1")
        // A connection that ends meanwhile does not take it along.
        #expect(try errand.ask("\(thread)work 1") == "= 0 0")
        try errand.tell("close ")
        _ = try errand.client.receiveAll()
        errand.client.close()
        try other.tell("go")
        #expect(try other.hear() == "home 3 1 42 generation 1")
    }

    @Test("the pool is bounded, and stop waits for it")
    func pool() throws {
        let gateway = try gateway()
        let errand = try Errand(gateway)
        let answer = try errand.ask("fill").split(separator: " ")
        #expect(answer[1] == "-5")
        #expect((1024...1040).contains(Int(answer[2]) ?? 0))
        try errand.tell("go")
        gateway.beginStopping()
        #expect(try errand.client.receiveAll().last?.closeCode == 1001)
        gateway.stop()
    }

    @Test("a connection with work under way stays where it is, and its timers move with it")
    func reload() throws {
        let folder = try ErrandFolder()
        let gateway = try folder.gateway()
        let busy = try Errand(gateway)
        let timed = try Errand(gateway)
        #expect(try busy.ask("work 1") == "= 0 0")
        try timed.tell("timer 2 0 1")
        #expect(try timed.hear() == "event 1 2 0 generation 1")
        try folder.reload()
        while try timed.hear() != "event 1 2 0 generation 2" {}
        try busy.tell("which")
        #expect(try busy.hear().hasPrefix("generation 1"))
        try busy.tell("go")
        #expect(try busy.hear() == "event 3 1 42 generation 1")
        // Now nothing keeps it.
        while true {
            try busy.tell("which")
            if try busy.hear().hasPrefix("generation 2") { break }
        }
    }
}

@Suite("Events of handlers, turn by turn")
struct HandlerEventsTurnTests {
    private let steps: StepWorker
    private let peer: StepWorker.Peer

    init() throws {
        steps = try StepWorker(handler: "fixture_errands")
        peer = steps.open()
        peer.say("gsub home")
        steps.step()
        _ = peer.frames()
    }

    private var record: InstanceContext { steps.binding().pointee.instanceContext }

    private func heard(_ other: StepWorker.Peer? = nil) -> [String] {
        (other ?? peer).frames().map { $0.text.split(separator: " generation").first.map(String.init) ?? "" }
    }

    private func post(_ token: UInt64, _ text: String, to connection: UInt64 = 0) -> Int32 {
        Array(text.utf8).withUnsafeBytes {
            steps.host().post(record.instance.id, connection, token, $0.baseAddress, $0.count)
        }
    }

    private var posted: Int { steps.worker.port.postedBytes.load(ordering: .relaxed) }

    // MARK: Timers

    @Test(arguments: ["timer", "htimer"])
    func `a timer goes off to the millisecond, and once`(verb: String) throws {
        let line = verb == "timer" ? "event 1 1 0" : "home 1 1 0"
        peer.say("\(verb) 1 100 0")
        steps.step()
        // A tick after there has been traffic it is counted.
        steps.step(after: 32)
        #expect(steps.worker.patience == 68)
        steps.step(after: 67)
        #expect(heard().isEmpty && steps.worker.patience == 1)
        steps.step(after: 1)
        #expect(heard() == [line])
        steps.step(after: 10_000)
        #expect(heard().isEmpty && steps.worker.port.timers.nextDue == .max)
    }

    @Test func `timers go off in the order in which they are due`() throws {
        peer.say("timer 3 30 0", "timer 1 10 0", "timer 2 20 0", "htimer 4 20 0")
        steps.step()
        steps.step(after: 10)
        #expect(heard() == ["event 1 1 0"])
        steps.step(after: 1000)
        #expect(heard().sorted() == ["event 1 2 0", "event 1 3 0", "home 1 4 0"])
    }

    @Test func `one that repeats does not make up for what it missed`() throws {
        peer.say("timer 1 5 10")
        steps.step()
        for delay in [5, 10, 10] as [UInt64] {
            steps.step(after: delay - 1)
            #expect(heard().isEmpty)
            steps.step(after: 1)
            #expect(heard() == ["event 1 1 0"])
        }
        steps.step(after: 1000)
        #expect(heard() == ["event 1 1 0"])
        // It is due a millisecond behind a late one, and in its rhythm from there on.
        steps.step(after: 1)
        #expect(heard() == ["event 1 1 0"])
        steps.step(after: 9)
        #expect(heard().isEmpty)
        steps.step(after: 1)
        #expect(heard() == ["event 1 1 0"])
    }

    @Test func `one that was cancelled does not go off, and cannot be cancelled again`() throws {
        peer.say("timer 1 10 10", "!cancel", "!cancel")
        steps.step()
        #expect(heard() == ["= 0 0", "= -8 0"])
        steps.step(after: 100)
        #expect(heard().isEmpty)
        // Between two times as well.
        peer.say("timer 2 10 10")
        steps.step()
        steps.step(after: 10)
        #expect(heard() == ["event 1 2 0"])
        peer.say("!cancel")
        steps.step(after: 10)
        #expect(heard() == ["= 0 0"])
        steps.step(after: 100)
        #expect(heard().isEmpty)
    }

    @Test func `a timer of no time goes off in the same step, behind the callback`() throws {
        peer.say("!timer 1 0 0")
        steps.step()
        #expect(heard() == ["= 0 0", "event 1 1 0"])
        #expect(steps.worker.port.timers.nextDue == .max)
    }

    @Test func `timers of a connection end with it, those of its instance stay`() throws {
        let other = steps.open()
        other.say("timer 1 100 0", "htimer 2 100 0")
        steps.step()
        #expect(steps.worker.port.timers.entries == 2)
        other.finish()
        steps.step(after: 100)
        #expect(heard() == ["home 1 2 0"])
        #expect(steps.worker.port.timers.nextDue == .max)
    }

    @Test func `a connection that is closing hears of no timer`() throws {
        peer.say("timer 1 10 0", "close bye")
        steps.step(after: 10)
        #expect(peer.frames() == [.close(1000, "bye")])
        steps.step(after: 10)
        #expect(peer.phase == .closing && peer.frames().isEmpty)
        #expect(steps.worker.port.timers.nextDue == .max)
    }

    @Test func `an instance that retires starts no timer of its home`() throws {
        record.isRetiring.store(true, ordering: .releasing)
        peer.say("!htimer 1 10 0", "!timer 2 10 0")
        steps.step()
        #expect(heard() == ["= -5 0", "= 0 0"])
        steps.step(after: 10)
        #expect(heard() == ["event 1 2 0"])
    }

    // MARK: Posts

    @Test func `posts come behind the callback that asked for them, in their order`() throws {
        peer.say("!post 1 a", "!hpost 2 b", "!post 3 c")
        steps.step()
        #expect(heard() == ["= 0 0", "= 0 0", "= 0 0", "event 2 1 a0", "home 2 2 b0", "event 2 3 c0"])
        #expect(posted == 0 && record.pending.load(ordering: .relaxed) == 0)
        #expect(steps.worker.events.isEmpty)
    }

    @Test func `posts of another thread come in their order, and count until they are told`() throws {
        let id = try #require(peer.id?.number)
        for number in 0..<10 { #expect(post(UInt64(number), "x", to: number % 2 == 0 ? id : 0) == Status.ok) }
        #expect(posted == 10 * 129)
        #expect(record.pending.load(ordering: .relaxed) == 5)
        steps.step()
        #expect(heard() == (0..<10).map { "\($0 % 2 == 0 ? "event" : "home") 2 \($0) x0" })
        #expect(posted == 0 && record.pending.load(ordering: .relaxed) == 0)
    }

    @Test func `a post for a connection that has ended is dropped, and counts no more`() throws {
        let other = steps.open()
        let id = try #require(other.id?.number)
        #expect(post(1, "late", to: id) == Status.ok)
        let place = try #require(other.place)
        steps.onWorker { steps.worker.closer.teardown(place, on: steps.worker) }
        #expect(posted == 132)
        steps.step()
        #expect(posted == 0 && heard().isEmpty)
        #expect(post(2, "late", to: id) == Status.closed)
    }

    @Test func `more than 64 MiB of posts are not taken`() throws {
        let other = steps.open()
        let id = try #require(other.id?.number)
        let text = String(repeating: "x", count: 32 << 20)
        #expect(post(1, text, to: id) == Status.ok)
        #expect(post(2, text, to: id) == Status.limit, "each counts a little more than its bytes")
        #expect(post(3, "x") == Status.ok)
        let place = try #require(other.place)
        steps.onWorker { steps.worker.closer.teardown(place, on: steps.worker) }
        steps.step()
        #expect(posted == 0 && heard() == ["home 2 3 x0"])
        #expect(post(4, "x") == Status.ok)
    }

    // MARK: Before start has returned

    @Test func `what is for the home of an instance that is starting waits for that, in its order`() throws {
        record.isOpen.store(false, ordering: .releasing)
        #expect(post(1, "a") == Status.ok && post(2, "b") == Status.ok)
        peer.say("hpost 3 c", "post 4 d")
        steps.step()
        // A connection there is none of before that; one of another route would hear of it.
        #expect(heard() == ["event 2 4 d0"])
        #expect(posted == 3 * 129 && record.pending.load(ordering: .relaxed) == 3)
        record.isOpen.store(true, ordering: .releasing)
        steps.worker.port.post(.openHome(record))
        #expect(post(5, "e") == Status.ok)
        steps.step()
        #expect(heard() == ["home 2 1 a0", "home 2 2 b0", "home 2 3 c0", "home 2 5 e0"])
        #expect(posted == 0 && record.pending.load(ordering: .relaxed) == 0)
    }

    @Test func `an instance that has stopped hears nothing, and nothing of it counts`() throws {
        #expect(post(1, "a") == Status.ok)
        record.stop()
        steps.step()
        #expect(heard().isEmpty && posted == 0 && record.pending.load(ordering: .relaxed) == 0)
    }
}
