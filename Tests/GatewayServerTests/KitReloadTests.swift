import GatewayServer
import TestSupport
import Testing

@Suite("Loops of the kit in a reload")
struct KitReloadTests {
    @Test func `a loop is told, and drains where it is`() throws {
        let gateway = try ReloadGateway("imperative_swift", defaults: "drain_timeout 60s;")
        let client = try gateway.connect()
        #expect(try client.say("draining") == "false 1")
        try client.send("sleep long")
        let other = try gateway.connect()
        #expect(try other.say("a") == "a")
        let answer = try gateway.reload("later_swift")
        #expect(
            answer.timeless.hasSuffix(
                "0 connections moved, 2 still with older generations (no GW_HF_STATELESS, and no save_conn and restore_conn)"
            ))
        let newcomer = try gateway.connect()
        #expect(try newcomer.say("post") == "1", "who comes now is served by the new generation")
        #expect(try eventually { try other.say("draining") == "true 1" })
        try client.sendClose(1000)
        #expect(try client.receiveAll() == [.close(1000)])
        #expect(try other.hear() == "woken true")
        #expect(try other.hear() == "ended 1000 true")
        try other.sendClose(1000)
        _ = try other.receiveAll()
        #expect(try eventually { try gateway.status().contains("pinned") })
        #expect(try newcomer.say("post") == "2")
    }

    @Test func `a generation is not stopped while a loop goes on behind its connection`() throws {
        let gateway = try ReloadGateway("imperative_swift")
        let client = try gateway.connect()
        let asking = try TestClient(port: gateway.port)
        try asking.send(
            TestClient.request("POST", "/counter", headers: ["Content-Length: 1", "Expect: 100-continue"]))
        #expect(try asking.readHead().hasPrefix("HTTP/1.1 100"))
        #expect(try client.say("a") == "a")
        try client.send("linger")
        try client.sendClose(1000)
        #expect(try client.receiveAll() == [.close(1000)])
        try gateway.reload("later_swift")
        let newcomer = try gateway.connect()
        #expect(try newcomer.say("post") == "1")
        #expect(try !gateway.status().contains("pinned"))
        // The pool's thread waits for this request, which began with the old generation.
        try asking.send([1])
        #expect(try asking.response().body == "gone")
        #expect(try eventually { try gateway.status().contains("pinned") })
    }

    @Test func `who is not gone when the time is up is told 1012`() throws {
        let gateway = try ReloadGateway("imperative_swift", defaults: "drain_timeout 100ms;")
        let client = try gateway.connect()
        #expect(try client.say("a") == "a")
        try client.send("sleep long")
        try gateway.reload("later_swift")
        #expect(try client.receiveAll().last?.closeCode == 1012)
        client.close()
        #expect(try eventually { try gateway.status().contains("pinned") })
    }

    @Test func `who keeps nothing but a timer stays with it`() throws {
        let gateway = try ReloadGateway("ticker_swift")
        let (still, ticking) = (try gateway.connect(), try gateway.connect())
        #expect(try still.say("a") == "a")
        #expect(try ticking.say("tick") == "tick")
        let answer = try gateway.reload("counter_stateless_v2")
        #expect(
            answer.timeless.hasSuffix(
                "1 connection moved, 1 refused, 1 still with older generations (save_conn or restore_conn said no)"))
        #expect(try still.say("b").hasPrefix("2 "))
        // The timer goes on, and so does the handler that it belongs to.
        for _ in 0..<10 { #expect(try ticking.hear() == "tick") }
        try ticking.send("c")
        var line = try ticking.hear()
        while line == "tick" { line = try ticking.hear() }
        #expect(line == "c")
    }
}
