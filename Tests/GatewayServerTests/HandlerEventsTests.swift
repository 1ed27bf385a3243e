import TestSupport
import Testing

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
