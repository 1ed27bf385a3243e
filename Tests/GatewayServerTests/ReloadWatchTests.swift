import GatewayServer
import Glibc
import TestSupport
import Testing

@Suite("A changed file is noticed, however it is changed")
struct ReloadWatchTests {
    /// Whether a version comes to serve, and all connections to it: that takes a moment longer.
    private func serves(_ gateway: ReloadGateway, _ version: String, connections: Int = 1) throws -> Bool {
        try eventually { try gateway.ask().hasPrefix("\(version) \(connections) ") }
    }

    /// Lets time pass in which somebody is served; how often.
    private func talk(_ client: TestClient, for duration: Duration) throws -> Int {
        let end = ContinuousClock.now + duration
        var count = 0
        while ContinuousClock.now < end {
            _ = try client.say("y")
            count += 1
        }
        return count
    }

    @Test(arguments: ReloadGateway.Way.allCases)
    func `a file put over another`(_ way: ReloadGateway.Way) throws {
        let gateway = try ReloadGateway(watches: true)
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        gateway.put("counter_v2", way)
        #expect(try serves(gateway, "2"))
        #expect(try client.say("b") == "2 2 b")
    }

    @Test func `a linker that writes in many pieces`() throws {
        let gateway = try ReloadGateway(watches: true)
        let client = try gateway.connect()
        let whole = ReloadGateway.bytes("counter_v2")
        var said = 0
        let path = gateway.plugins + "/counter.so"
        ReloadGateway.write([], to: path)
        for start in stride(from: 0, to: whole.count, by: 2048) {
            ReloadGateway.write(whole[start..<min(start + 2048, whole.count)], to: path, appending: true)
            // Longer than the gateway waits for quiet: only that the file is not whole keeps it from trying.
            if start % 16384 == 0 { said += try talk(client, for: .milliseconds(30)) }
        }
        #expect(try serves(gateway, "2"))
        #expect(try client.say("a") == "2 \(said + 1) a")
        #expect(try gateway.status().contains("generation 2 is serving"), "nothing was tried before it was whole")
    }

    @Test func `a symbolic link that points elsewhere`() throws {
        let gateway = try ReloadGateway(
            nil, routes: "route /counter { handler counter; } route /x { handler works; }", watches: true,
            others: ["works"])
        for version in ["1", "2"] {
            _ = mkdir("\(gateway.plugins)/\(version)", 0o755)
            ReloadGateway.write(
                ReloadGateway.bytes("counter_v\(version)"), to: "\(gateway.plugins)/\(version)/counter.so")
        }
        let path = gateway.plugins + "/counter.so"
        for version in ["1", "2", "1"] {
            _ = symlink("\(version)/counter.so", path + ".new")
            _ = rename(path + ".new", path)
            #expect(try serves(gateway, version, connections: 0))
        }
    }

    @Test func `a file that is deleted goes on serving, and comes back as another`() throws {
        let gateway = try ReloadGateway(watches: true)
        let client = try gateway.connect()
        _ = unlink(gateway.plugins + "/counter.so")
        let said = try talk(client, for: .milliseconds(100))
        #expect(try client.say("a") == "1 \(said + 1) a")
        gateway.put("counter_v2")
        #expect(try serves(gateway, "2"))
        #expect(try client.say("b") == "2 \(said + 2) b")
    }

    @Test func `a corrected file for a route that failed at start`() throws {
        let gateway = try ReloadGateway(
            "crash_start", routes: "route /counter { handler counter; } route /x { handler works; }", watches: true,
            others: ["works"])
        #expect(try TestClient(port: gateway.port).get("/counter").status == 503)
        gateway.put("counter_v1")
        #expect(try eventually { try gateway.ask() == "1 0 0" })
        #expect(try gateway.connect().say("a") == "1 1 a")
    }

    @Test func `a bad file, and then a good one`() throws {
        let gateway = try ReloadGateway(watches: true)
        let client = try gateway.connect()
        gateway.put("crash_entry")
        #expect(try eventually { try gateway.status().contains("SIGSEGV in gw_handler_entry_v1") })
        #expect(try client.say("a") == "1 1 a")
        gateway.put("counter_v2", .inPlace)
        #expect(try serves(gateway, "2"))
        #expect(try client.say("b") == "2 2 b")
    }

    @Test func `a storm: the last version wins, and old ones are gone`() throws {
        let gateway = try ReloadGateway(watches: true)
        let client = try gateway.connect()
        var said = 0
        for round in 0..<150 {
            gateway.put(round % 2 == 0 ? "counter_v2" : "counter_v1", round % 3 == 0 ? .inPlace : .rename)
            said += 1
            #expect(try client.say("x").hasSuffix(" \(said) x"))
            // Sometimes long enough to be taken.
            said += try talk(client, for: .milliseconds(round % 7 * 5))
        }
        gateway.put("counter_v2", .inPlace)
        #expect(try serves(gateway, "2"))
        #expect(try client.say("x") == "2 \(said + 1) x")
        #expect(try eventually { try !gateway.status().contains("retiring") })
    }
}
