import GatewayControl
import GatewayServer
import Synchronization
import TestSupport
import Testing

@Suite("dispatch pool: a handler is replaced while its callbacks block")
struct ReloadPoolingTests {
    private func gateway(_ route: String = "", defaults: String = "", threads: Int = 2) throws -> ReloadGateway {
        try ReloadGateway("blocker_v1", route: "dispatch pool; \(route)", defaults: defaults, threads: threads)
    }

    private func expectIntact(_ gateway: ReloadGateway, version: Int, live: Int) throws {
        #expect(try eventually { try gateway.ask() == "\(version) broken 0 live \(live) body 0" })
    }

    /// Reloads from a thread of its own.
    private func reload(_ gateway: ReloadGateway, _ done: Tally) -> RunningThread {
        let socket = gateway.folder + "/control.sock"
        return RunningThread {
            _ = try? ControlClient.ask(.reload("counter"), at: socket, seconds: 30)
            done.add()
        }
    }

    @Test func `who is between two callbacks moves at once, with its state`() throws {
        let gateway = try gateway()
        let clients = try (0..<20).map { _ in try gateway.connect() }
        for client in clients { #expect(try client.say("a") == "1 1 a") }
        // A callback may take a moment to return after what it sent has arrived.
        try gateway.reload("blocker_v2").expectDone()
        try expectIntact(gateway, version: 2, live: 20)
        for client in clients { #expect(try client.say("b") == "2 2 b") }
        #expect(try gateway.reload("blocker_v1").timeless.contains("generation 3 is serving, "))
        try expectIntact(gateway, version: 1, live: 20)
        for client in clients {
            #expect(try client.say("where") == "dispatch thread 1 state 1 set 0 other -10 request 1")
        }
    }

    @Test func `a loop never waits for callbacks on the pool, where they are serial and dispatch has changed`() throws {
        func routes(_ dispatch: String) -> String {
            "route /counter { handler counter; dispatch \(dispatch); } route /echo { handler echo; }"
        }
        let gateway = try ReloadGateway("blocker_serial", threads: 1)
        try gateway.configure(routes("loop")).expectDone()
        let (early, other) = (try gateway.connect(), try gateway.connect(path: "/echo"))
        #expect(try early.say("a") == "1 1 a")
        try gateway.configure(routes("pool")).expectDone()
        let gate = try Gate()
        let late = try gateway.connect()
        try late.send("wait \(gate.text)")
        try gate.entered()
        #expect(try early.say("b") == "1 2 b")
        #expect(try other.say("c") == "c")
        gate.release()
        #expect(try late.hear() == "1 1 wait \(gate.text)")
    }

    @Test func `who is in a callback moves behind it and what waits, and the others do not wait for it`() throws {
        let gateway = try gateway()
        let gate = try Gate()
        let (blocked, other) = (try gateway.connect(), try gateway.connect())
        #expect(try other.say("a") == "1 1 a")
        let messages = ["wait \(gate.text)", "b", "c"]
        try blocked.send(messages.flatMap { ClientFrame(1, Array($0.utf8)).bytes })
        try gate.entered()
        #expect(
            try gateway.reload("blocker_v2").timeless.hasSuffix(
                "1 still with older generations (busy: they move when they are quiet)"))
        #expect(try other.say("d") == "2 2 d")
        #expect(try gateway.ask() == "2 broken 0 live 1 body 0")
        gate.release()
        #expect(try blocked.hear() == "1 1 wait \(gate.text)")
        #expect(try blocked.hear() == "1 2 b")
        #expect(try blocked.hear() == "1 3 c")
        try expectIntact(gateway, version: 2, live: 2)
        #expect(try blocked.say("e") == "2 4 e")
        // Its old generation ends.
        #expect(try eventually { try gateway.hasEnded() })
    }

    @Test func `save_conn may block: the loop goes on, and the connection goes over behind it`() throws {
        let gateway = try gateway(threads: 1)
        let gate = try Gate()
        let (slow, other) = (try gateway.connect(), try gateway.connect())
        #expect(try slow.say("save \(gate.text)") == "1 1 save \(gate.text)")
        gateway.put("blocker_v2")
        let done = Tally()
        let thread = reload(gateway, done)
        try gate.entered()
        // The report waits for it; nobody else does.
        #expect(try other.say("a").hasSuffix(" 1 a"))
        #expect(done.value == 0)
        try slow.send("b")
        try slow.send(ClientFrame(9, Array("pong".utf8)))
        gate.release()
        #expect(Set(try [slow.hear(), slow.hear()]) == ["2 2 b", "pong"])
        thread.join()
        try expectIntact(gateway, version: 2, live: 2)
    }

    @Test func `a client that leaves while it is handed over is closed by whoever has it then`() throws {
        let gateway = try gateway(threads: 1)
        let (gate, end) = (try Gate(), try Gate())
        let client = try gateway.connect()
        #expect(try client.say("end \(end.text)") == "1 1 end \(end.text)")
        #expect(try client.say("save \(gate.text)") == "1 2 save \(gate.text)")
        gateway.put("blocker_v2")
        let thread = reload(gateway, Tally())
        try gate.entered()
        client.reset()
        #expect(end.isEmpty)
        gate.release()
        #expect(try end.entered(2) == [UInt8(ascii: "c"), 2])
        end.release()
        thread.join()
        try expectIntact(gateway, version: 2, live: 0)
        #expect(try eventually { try gateway.hasEnded() })
    }

    @Test func `who drains stays, and stop comes behind the last callback`() throws {
        let gateway = try gateway("reload drain;")
        let (gate, end) = (try Gate(), try Gate())
        let client = try gateway.connect()
        #expect(try client.say("end \(end.text)") == "1 1 end \(end.text)")
        try gateway.reload("blocker_v2")
        #expect(try client.say("a") == "1 2 a")
        try client.send("wait \(gate.text)")
        try gate.entered()
        client.reset()
        // Nobody is connected any more, and yet it may not be stopped; the fixture aborts if it is.
        #expect(try gateway.connect().say("b") == "2 1 b")
        #expect(try !gateway.hasEnded())
        gate.release()
        #expect(try end.entered(2) == [UInt8(ascii: "c"), 3])
        #expect(try !gateway.hasEnded())
        end.release()
        #expect(try eventually { try gateway.hasEnded() })
    }

    @Test func `an upgrade that was given up on keeps its generation until it returns`() throws {
        let gateway = try gateway("reply_timeout 64ms;")
        let gate = try Gate()
        let client = try TestClient(port: gateway.port)
        try client.send(TestClient.handshake("/counter?upgrade=\(gate.text)"))
        try gate.entered()
        #expect(try client.response().status == 504)
        try gateway.reload("blocker_v2")
        #expect(try gateway.connect().say("b") == "2 1 b")
        #expect(try !gateway.hasEnded())
        gate.release()
        #expect(try eventually { try gateway.hasEnded() })
    }

    @Test func `traffic goes on through many reloads, and no message is lost or told twice`() throws {
        let gateway = try gateway()
        let (port, over, failures) = (gateway.port, Tally(), Tally())
        let threads = (0..<6).map { _ in
            Running(
                RunningThread {
                    guard let client = try? TestClient(port: port, open: "/counter") else { return }
                    var count = 0
                    while over.value == 0 {
                        let words = (1...20).map { "m\(count + $0)" }
                        try? client.send(words.flatMap { ClientFrame(1, Array($0.utf8)).bytes })
                        for word in words {
                            count += 1
                            let line = (try? client.hear()) ?? ""
                            if line.dropFirst(1) != " \(count) \(word)" { failures.add() }
                        }
                    }
                })
        }
        for round in 0..<6 {
            try gateway.reload(round % 2 == 0 ? "blocker_v2" : "blocker_v1").expectDone()
        }
        over.add()
        for thread in threads { thread.join() }
        #expect(failures.value == 0)
        try expectIntact(gateway, version: 1, live: 0)
    }

    @Test func `a change of dispatch is for connections that come later`() throws {
        let gateway = try gateway()
        let old = try gateway.connect()
        try gateway.configure("route /counter { handler counter; dispatch loop; }").expectDone()
        let new = try gateway.connect()
        #expect(try old.say("where").hasPrefix("dispatch thread 1 "))
        #expect(try new.say("where").hasPrefix("worker "))
        try gateway.configure("route /counter { handler counter; dispatch pool; idle_timeout 1h; }").expectDone()
        #expect(try new.say("where").hasPrefix("worker "))
        #expect(try gateway.connect().say("where").hasPrefix("dispatch "))
        // Also where both go to another generation.
        try gateway.reload("blocker_v2")
        try expectIntact(gateway, version: 2, live: 2)
        #expect(try old.say("where").hasPrefix("dispatch thread 1 "))
        #expect(try new.say("where").hasPrefix("worker "))
        #expect(try eventually { try gateway.hasEnded() })
    }
}

extension ReloadGateway {
    /// Whether the old generation has been stopped; its image stays mapped.
    fileprivate func hasEnded() throws -> Bool { try status().contains("pinned") }
}

/// A number that threads share.
private final class Tally: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .acquiring) }
    func add() { count.add(1, ordering: .releasing) }
}

/// Keeps a thread in an array.
private final class Running {
    private var thread: RunningThread?
    init(_ thread: consuming RunningThread) { self.thread = consume thread }
    func join() { thread.take()?.join() }
}
