import GatewayServer
import Glibc
import TestSupport
import Testing

@Suite("A reload is stepped: nobody waits for a candidate, and each state has an edge to what served before")
struct ReloadStateTests {
    private static let routes = "route /counter { handler counter; } route /x { handler counter_v2; }"

    private func gateway() throws -> ReloadGateway {
        try ReloadGateway(routes: Self.routes, others: ["counter_v2"])
    }

    /// Asks for a reload of a file that never comes to an end in a state, and answers when it is there.
    private func hang(_ gateway: ReloadGateway, _ fixture: String, in state: String) throws -> Asking {
        gateway.put(fixture)
        let asking = gateway.ask(.reload("counter"))
        #expect(try eventually { try gateway.status().contains("reload: \(state)") }, "\(state)")
        return asking
    }

    static let hanging = [
        ("hang_constructor", "probing"), ("hang_start", "probing"), ("live_hangs_entry", "loading"),
        ("live_hangs_start", "starting"),
    ]

    @Test(arguments: hanging)
    func `everybody else is answered while a candidate hangs`(_ fixture: String, _ state: String) throws {
        let gateway = try gateway()
        let client = try gateway.connect()
        let asking = try hang(gateway, fixture, in: state)
        let clock = ContinuousClock()
        var fastest = Duration.seconds(60)
        for _ in 0..<20 { fastest = min(fastest, try clock.measure { _ = try gateway.status() }) }
        #expect(fastest < .milliseconds(50))
        // Another handler, and the configuration.
        let other = try gateway.command(.reload("counter_v2"))
        #expect(other.text.contains("the file is identical to generation 1"))
        let everything = gateway.ask(.reload(nil))
        #expect(try eventually { try gateway.status().contains("configuration: nothing changed") })
        #expect(!asking.isAnswered && !everything.isAnswered)
        #expect(try client.say("a") == "1 1 a")
        // SIGTERM, or stop: the candidate is dropped, and those who asked for it hear so.
        client.close()
        gateway.stop()
        #expect(asking.answer()?.text.contains("abandoned") == true)
        #expect(asking.answer()?.exit == 75)
    }

    @Test func `a configuration with a handler that hangs holds nobody up`() throws {
        let gateway = try ReloadGateway(routes: Self.routes, others: ["counter_v2", "hang_start"])
        let client = try gateway.connect()
        gateway.write(Self.routes + " route /new { handler hang_start; }")
        let asking = gateway.ask(.reload(nil))
        #expect(try eventually { try gateway.status().contains("HANDLER counter") })
        #expect(try client.say("a") == "1 1 a")
        gateway.put("counter_v2")
        #expect(try gateway.command(.reload("counter")).exit == 0, "a handler that the change is not about")
        #expect(try client.say("b") == "2 2 b")
        #expect(!asking.isAnswered)
        client.close()
        gateway.stop()
        #expect(asking.answer()?.exit == 75)
    }

    static let edges: [(fixture: String, state: String, says: String)] = [
        ("live_declines", "loading", "its entry declined: \"not twice\""),
        ("live_refuses", "starting", "generation 2 refused to start: \"the port is taken\" (GW_E_FAILED)"),
        ("hang_start", "probing", "hung while starting"),
        ("live_hangs_start", "starting", "was still busy with its start after 1.0 seconds"),
        ("no_entry", "staging", "it does not export gw_handler_entry_v1"),
    ]

    @Test(arguments: edges)
    func `what fails in a state changes nothing`(_ edge: (fixture: String, state: String, says: String)) throws {
        let gateway = try ReloadGateway(route: edge.fixture.contains("hang") ? "start_timeout 1s;" : "")
        let client = try gateway.connect()
        let answer = try gateway.reload(edge.fixture)
        #expect(answer.exit == 75)
        #expect(answer.text.contains(edge.says), "\(answer.text)")
        #expect(answer.text.hasSuffix("Still serving: generation 1.\n"), "\(answer.text)")
        #expect(try client.say("a") == "1 1 a")
        // Numbers count what came to serve.
        #expect(try gateway.reload("counter_v2").timeless.contains("generation 2 is serving"))
        #expect(try client.say("b") == "2 2 b")
    }

    @Test func `a file that never comes to rest is tried once, and what serves goes on`() throws {
        let gateway = try ReloadGateway(watches: true)
        let client = try gateway.connect()
        let whole = ReloadGateway.bytes("counter_v2")
        ReloadGateway.write(whole[..<(whole.count / 2)], to: gateway.plugins + "/counter.so")
        #expect(try eventually { try gateway.status().contains("reload: settling") })
        #expect(try client.say("a") == "1 1 a")
        #expect(
            try eventually { try gateway.status().contains("the file changed and did not come to rest") })
        #expect(try gateway.status().contains("its module cannot be loaded: it is incomplete"))
        #expect(try client.say("b") == "1 2 b")
        gateway.put("counter_v2")
        #expect(try eventually { try gateway.ask().hasPrefix("2 ") })
    }

    @Test func `a file that is gone is refused, and what serves goes on`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        _ = unlink(gateway.plugins + "/counter.so")
        let answer = try gateway.command(.reload("counter"))
        #expect(answer.exit == 75)
        #expect(answer.text.contains("its file is gone"))
        #expect(try client.say("a") == "1 1 a")
    }

    @Test func `changes during a reload are one more round`() throws {
        let gateway = try ReloadGateway(route: "start_timeout 1s;")
        let client = try gateway.connect()
        let first = try hang(gateway, "live_hangs_start", in: "starting")
        gateway.put("counter_v2")
        let later = (0..<3).map { _ in gateway.ask(.reload("counter")) }
        #expect(first.answer()?.exit == 75)
        for asking in later {
            #expect(asking.answer()?.timeless == "handler \"counter\": generation 2 is serving, 1 connection moved")
        }
        #expect(try client.say("a") == "2 1 a")
    }

    @Test func `a bad file is tried once, whoever notices it`() throws {
        let gateway = try ReloadGateway(watches: true)
        gateway.put("live_declines")
        #expect(try gateway.command(.reload(nil)).exit == 75)
        // Nor by those who ask for everything; it is still said.
        #expect(try gateway.command(.reload(nil)).text.contains("its entry declined: \"not twice\""))
        // The watch has seen it as well by the time that it has taken another file.
        gateway.put("counter_v2")
        #expect(try eventually { try gateway.ask().hasPrefix("2 ") })
        let tries = try gateway.tries
        #expect(tries == 1, "the probe of the bad file was run once")
    }

    @Test func `a worker that is busy does not keep anybody waiting`() throws {
        let gateway = try ReloadGateway("blocker_v1", threads: 1)
        let gate = try Gate()
        let blocked = try gateway.connect()
        try blocked.send("wait \(gate.text)")
        try gate.entered()
        gateway.put("blocker_v2")
        let asking = gateway.ask(.reload("counter"))
        #expect(try eventually { try gateway.status().contains("reload: handing over") })
        #expect(!asking.isAnswered)
        gate.release()
        #expect(asking.answer()?.exit == 0)
    }
}
