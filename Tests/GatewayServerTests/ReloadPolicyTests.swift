import GatewayServer
import TestSupport
import Testing

@Suite("reload auto, migrate, drain, close, off: what becomes of connections")
struct ReloadPolicyTests {
    @Test func `auto: who is refused stays, and is offered to each later generation`() throws {
        let gateway = try ReloadGateway()
        let (stays, goes) = (try gateway.connect(), try gateway.connect())
        #expect(try stays.say("stay") == "1 1 stay")
        #expect(try goes.say("a") == "1 1 a")
        let first = try gateway.reload("counter_refusing")
        #expect(
            first.timeless
                == "handler \"counter\": generation 2 is serving, 1 connection moved, 1 refused, 1 still with older generations (save_conn or restore_conn said no)"
        )
        #expect(first.exit == 0)
        #expect(try goes.say("b") == "refusing 2 b")
        // Not moved by what it says meanwhile: it was refused, not put off.
        #expect(try stays.say("b") == "1 2 b")
        #expect(try stays.say("stay") == "1 3 stay")
        #expect(try gateway.reload("counter_v2").timeless.hasSuffix("generation 3 is serving, 2 connections moved"))
        #expect(try stays.say("c") == "2 4 c")
        #expect(try goes.say("c") == "2 3 c")
        #expect(try eventually { try !gateway.status().contains("retiring") })
    }

    @Test(arguments: [
        ("counter_v1", "counter_other", "state_format 0xc0de -> 0xbad"),
        ("counter_stateless_v1", "counter_v2", "generation 1 has GW_HF_STATELESS, generation 2 has not"),
    ])
    func `auto: who cannot take state along drains, and the outcome says why`(
        _ old: String, _ new: String, _ why: String
    ) throws {
        let gateway = try ReloadGateway(old, route: "drain_timeout 2s;")
        let client = try gateway.connect()
        let first = try client.say("a")
        let answer = try gateway.reload(new)
        #expect(answer.timeless.hasSuffix("0 connections moved, 1 still with older generations (\(why))"), "\(answer)")
        #expect(try client.say("b").prefix(2) == first.prefix(2))
        #expect(try client.receive() == .close(1012, "the handler was replaced"))
        try client.sendClose(1012)
        try client.expectEnd()
        #expect(try eventually { try !gateway.status().contains("retiring") })
    }

    @Test func `drain: at the end of drain_timeout 1012, and then the end`() throws {
        let gateway = try ReloadGateway(route: "reload drain; drain_timeout 100ms;")
        let client = try gateway.connect()
        #expect(try gateway.reload("counter_v2").timeless.hasSuffix("1 still with older generations (reload drain)"))
        #expect(try client.receive() == .close(1012, "the handler was replaced"))
        // It does not answer, and is not waited for.
        try client.expectEnd()
        #expect(try eventually { try gateway.status().contains("ended") })
    }

    @Test func `drain: a second reload does not prolong the time of the first`() throws {
        let gateway = try ReloadGateway(route: "reload drain; drain_timeout 20s;")
        let client = try gateway.connect()
        try gateway.reload("counter_v2")
        #expect(try client.say("a") == "1 1 a")
        let answer = try gateway.configure("route /counter { handler counter; reload drain; drain_timeout 100ms; }")
        #expect(answer.exit == 0)
        try gateway.reload("counter_v1")
        #expect(try client.receive() == .close(1012, "the handler was replaced"))
    }

    @Test func `close: 1012, also where state could have moved`() throws {
        let gateway = try ReloadGateway(route: "reload close; drain_timeout 200ms;")
        let clients = try (0..<8).map { _ in try gateway.connect() }
        let answer = try gateway.reload("counter_v2")
        #expect(
            answer.timeless
                == "handler \"counter\": generation 2 is serving, 0 connections moved, 8 connections told to come back"
                + " (1012, reload close)")
        for client in clients { #expect(try client.receive() == .close(1012, "the handler was replaced")) }
        #expect(try gateway.status().contains("0 moved, 0 refused, 8 closed, "))
        #expect(try gateway.connect().say("a") == "2 1 a")
    }

    @Test func `off: a handler stays as it is`() throws {
        let gateway = try ReloadGateway(route: "reload off;")
        let client = try gateway.connect()
        let answer = try gateway.reload("counter_v2")
        #expect(answer.text == "handler \"counter\": reload is off for it, nothing was done\n")
        #expect(answer.exit == 0)
        #expect(try client.say("a") == "1 1 a")
    }

    @Test func `migrate: what could not take over everybody is refused`() throws {
        let gateway = try ReloadGateway(route: "reload migrate;")
        let client = try gateway.connect()
        let answer = try gateway.reload("counter_other")
        #expect(answer.exit == 75)
        #expect(
            answer.text == """
                handler "counter": generation 2 cannot take over the connections of generation 1 (state_format 0xc0de -> 0xbad).
                   Route: /counter (\(gateway.folder)/gateway.conf:4), reload migrate
                   To do: give both save_conn and restore_conn and the same state_format, or set reload auto.
                   Still serving: generation 1.

                """)
        #expect(try client.say("a") == "1 1 a")
        try gateway.reload("counter_v2").expectDone()
        #expect(try client.say("b") == "2 2 b")
    }
}
