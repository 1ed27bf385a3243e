import GatewayServer
import Glibc
import TestSupport
import Testing

@Suite("Going back to the generation before")
struct ReloadRollbackTests {
    @Test func `gateway rollback hands everything back`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        let nothing = try gateway.command(.rollback("counter"))
        #expect(nothing.text == "handler \"counter\": there is no generation to go back to\n")
        #expect(nothing.exit == 75)

        #expect(try client.say("a") == "1 1 a")
        try gateway.reload("counter_v2")
        #expect(try client.say("b") == "2 2 b")
        // The image of generation 1 is gone by then, its copy is not.
        #expect(try eventually { try gateway.status().contains("ended") })
        let answer = try gateway.command(.rollback("counter"))
        #expect(
            answer.timeless
                == "handler \"counter\": generation 3 is serving, 1 connection moved; rolled back to the build of"
                + " generation 1 (nothing older is kept), and the file is not loaded until it changes")
        #expect(answer.exit == 0)
        #expect(try client.say("c") == "1 3 c")
        // Not forward again to the build that was left.
        let again = try gateway.command(.rollback("counter"))
        #expect(
            again.text
                == "handler \"counter\": there is no older build to go back to: it is at the build of generation 1\n")
        #expect(again.exit == 75)
        #expect(try client.say("d") == "1 4 d")
    }

    @Test func `each rollback goes further back, and says where it is`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        try gateway.reload("counter_v2")
        try gateway.reload("counter_refusing")
        #expect(try client.say("b") == "refusing 2 b")
        #expect(
            try gateway.command(.rollback("counter")).text
                .contains("rolled back to the build of generation 2 (one older build is kept)"))
        #expect(try client.say("c") == "2 3 c")
        #expect(try gateway.status().contains("rolled back to the build of generation 2 (one older build is kept)"))
        #expect(
            try gateway.command(.rollback("counter")).text
                .contains("rolled back to the build of generation 1 (nothing older is kept)"))
        #expect(try client.say("d") == "1 4 d")
    }

    @Test func `a rollback holds until the file changes, or somebody asks for it by name`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        try gateway.reload("counter_v2")
        try gateway.command(.rollback("counter")).expectDone()
        let everything = try gateway.command(.reload(nil))
        #expect(everything.exit == 0)
        #expect(everything.text.contains("`gateway reload counter` loads it all the same"), "\(everything.text)")
        #expect(try client.say("b") == "1 2 b")
        #expect(try gateway.command(.reload("counter")).exit == 0, "the wish for this very file")
        #expect(try client.say("c") == "2 3 c")
        try gateway.command(.rollback("counter")).expectDone()
        #expect(try client.say("d") == "1 4 d")
        gateway.put("counter_refusing")
        try gateway.command(.reload(nil)).expectDone()
        #expect(try client.say("e") == "refusing 5 e")
    }

    @Test func `a rollback holds over a restart`() throws {
        let first = try ReloadGateway()
        try first.reload("counter_v2")
        try first.command(.rollback("counter")).expectDone()
        #expect(try first.ask().hasPrefix("1 "))
        first.stop()
        let second = try ReloadGateway(nil, after: first)
        #expect(try second.ask().hasPrefix("1 "), "although version 2 lies there")
        #expect(try second.status().contains("rolled back to the build of generation 1"))
        second.stop()
        let third = try ReloadGateway("counter_refusing", after: first)
        #expect(try third.ask().hasPrefix("refusing "), "another file lies there")
    }

    @Test func `a generation that fails on probation gives way by itself`() throws {
        let gateway = try ReloadGateway(route: "probation 30s 3;")
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        try gateway.reload("counter_v2")
        #expect(try client.say("b") == "2 2 b")
        // An upgrade and a request that fail, and an error in a callback, are failures; so many are forgiven.
        #expect(try TestClient(port: gateway.port).get("/counter?fail").status == 500)
        let refused = try TestClient(port: gateway.port)
        try refused.send(TestClient.handshake("/counter?fail"))
        #expect(try refused.response().status == 500)
        #expect(try gateway.connect().receiveClose(after: "fail") == 1011)
        #expect(try client.say("c") == "2 3 c")
        #expect(try gateway.connect().receiveClose(after: "fail") == 1011)
        #expect(try eventually { try gateway.ask().hasPrefix("1 1 ") })
        #expect(try client.say("d") == "1 4 d")
        #expect(try gateway.status().contains("on probation"))
        // What was gone back to is not on probation: nothing flaps.
        for _ in 0..<5 { #expect(try TestClient(port: gateway.port).get("/counter?fail").status == 500) }
        #expect(try client.say("e") == "1 5 e")
    }

    @Test func `a probation ends when its time is over`() throws {
        let clock = MovedClock()
        let gateway = try ReloadGateway(route: "probation 1h 0;", clock: clock)
        #expect(try gateway.ask().hasPrefix("1 "))
        let digest = try gateway.digest
        clock.advance(milliseconds: 3_599_000)
        // A command wakes the control thread, which keeps nothing yet.
        _ = try gateway.status()
        #expect(gateway.lastGood == nil)
        clock.advance(milliseconds: 1_000)
        _ = try gateway.status()
        #expect(eventually { gateway.lastGood == digest })
    }

    @Test func `what served last is used when the file is bad at start`() throws {
        let first = try ReloadGateway(route: "probation 20ms;")
        try first.reload("counter_v2")
        #expect(try first.connect().say("a") == "2 1 a")
        let digest = try first.digest
        #expect(eventually { first.lastGood == digest })
        first.stop()
        ReloadGateway.write("no module".utf8, to: first.plugins + "/counter.so")
        let second = try ReloadGateway(nil, after: first)
        #expect(try second.connect().say("a") == "2 1 a")
        let status = try second.command(.status(.text))
        #expect(status.text.contains("degraded, a copy serves instead of the file of counter"))
        #expect(status.text.contains("it is not an ELF file"))
        #expect(status.exit == 1)
        // A good file takes over from the copy.
        try second.reload("counter_v1").expectDone()
        #expect(try second.connect().say("a") == "1 1 a")
        try second.command(.status(.text)).expectDone()
    }

    @Test func `a build is kept for a bad day only when it has served for a while`() throws {
        let gateway = try ReloadGateway(route: "probation 1h;")
        #expect(try gateway.ask().hasPrefix("1 "))
        gateway.stop()
        #expect(gateway.lastGood == nil)
    }

    // MARK: Builds that killed the process

    @Test func `a build that killed the process is not loaded again, and what proved good serves`() throws {
        let first = try ReloadGateway(route: "probation 20ms;")
        let good = try first.digest
        #expect(eventually { first.lastGood == good })
        first.stop()
        let second = try ReloadGateway("counter_v2", route: "probation 1h;", after: first)
        let bad = try second.digest
        second.stop()
        first.recordCrash(of: bad)
        let third = try ReloadGateway(nil, after: first)
        #expect(try third.ask().hasPrefix("1 "))
        let status = try third.command(.status(.text))
        #expect(status.exit == 1)
        #expect(
            status.text.contains(
                "its file is the build that killed the gateway at 2026-01-31T23:59:59Z (generation 1, in message of"
                    + " route /counter: SIGSEGV)"), "\(status.text)")
        let everything = try third.command(.reload(nil))
        #expect(everything.exit == 75)
        #expect(everything.text.contains("`gateway reload counter` loads this one all the same"), "\(everything.text)")
        #expect(try third.ask().hasPrefix("1 "))
        // Who names it knows what he wants, also at the next start.
        try third.command(.reload("counter")).expectDone()
        #expect(try third.ask().hasPrefix("2 "))
        third.stop()
        #expect(try ReloadGateway(nil, after: first).ask().hasPrefix("2 "))
    }

    @Test func `a build that was gone back to and then killed the process is not loaded again either`() throws {
        let routes = "route /counter { handler counter; } route /x { handler works; }"
        let first = try ReloadGateway(routes: routes, others: ["works"])
        let bad = try first.digest
        try first.reload("counter_v2")
        try first.command(.rollback("counter")).expectDone()
        first.stop()
        first.recordCrash(of: bad)
        let second = try ReloadGateway(nil, routes: routes, after: first)
        #expect(try TestClient(port: second.port).get("/counter").status == 503)
        let status = try second.status()
        #expect(status.contains("is the build that killed the gateway"), "\(status)")
        try second.command(.reload("counter")).expectDone()
        #expect(try second.ask().hasPrefix("2 "))
    }

    @Test func `without a copy a quarantined handler answers 503, and the others serve`() throws {
        let routes = "route /counter { handler counter; } route /x { handler works; }"
        let first = try ReloadGateway(routes: routes, others: ["works"])
        let bad = try first.digest
        first.stop()
        first.recordCrash(of: bad)
        let second = try ReloadGateway(nil, routes: routes, after: first)
        #expect(try TestClient(port: second.port).get("/counter").status == 503)
        #expect(try second.status().contains("its file is the build that killed the gateway"))
        try second.reload("counter_v2").expectDone()
        #expect(try second.ask().hasPrefix("2 "))
    }

    @Test func `where the last good build is the one that crashed, the one before it serves`() throws {
        let first = try ReloadGateway(route: "probation 20ms;")
        let good = try first.digest
        #expect(eventually { first.lastGood == good })
        try first.reload("counter_v2")
        let bad = try first.digest
        #expect(eventually { first.lastGood == bad })
        first.stop()
        first.recordCrash(of: bad)
        #expect(try ReloadGateway(nil, after: first).ask().hasPrefix("1 "))
    }
}

extension TestClient {
    /// The code of the Close that comes behind the answer to a text.
    fileprivate func receiveClose(after text: String) throws -> UInt16? {
        try send(text)
        return try receiveAll().last?.closeCode
    }
}
