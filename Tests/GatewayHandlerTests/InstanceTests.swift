import CGatewayABI
import GatewayHandler
import Synchronization
import Testing

/// Reads every setting it is asked to, and says what it found.
private final class Curious: ReactiveHandler {
    init(_ context: borrowing StartContext) throws {
        let gateway = context.gateway
        gateway.log(.debug, "\(context.route) \(context.origin) \(context.isProbe)")
        gateway.log(.debug, context.settings.map { "\($0.name)=\($0.value)" }.joined(separator: " "))
        gateway.log(.debug, context.setting("none") ?? "nil")
        gateway.log(.debug, context.setting("history\0") ?? "nil")
        gateway.log(.debug, "\(try context.setting("history", as: Int.self) ?? -1)")
        gateway.log(.debug, "\(gateway.now) \(gateway.generation) \(gateway.connections.count)")
    }

    func message(_ connection: Connection, _ message: borrowing Message) {}
}

/// Says which path a setting stands for.
private final class Filing: ReactiveHandler {
    init(_ context: borrowing StartContext) { context.gateway.log(.debug, context.path("file") ?? "nil") }

    func message(_ connection: Connection, _ message: borrowing Message) {}
}

@Suite("starting and stopping")
struct InstanceTests {
    @Test func `the context gives route, settings and the gateway`() {
        let host = MockHost()
        host.set { $0.connections = Array(1...1000) }
        let driven = Driven(Curious.self, host: host, settings: ["history": "50", "motd": "hi"])
        #expect(driven.started == GW_OK)
        #expect(
            host.calls == [
                .log(0, 1, "/test gateway.conf:42 false"), .log(0, 1, "history=50 motd=hi"), .log(0, 1, "nil"),
                .log(0, 1, "nil"), .log(0, 1, "50"), .log(0, 1, "1.5 seconds 3 1000"),
            ])
    }

    @Test(arguments: [
        ("gateway.conf:42", "data/x", "data/x"),
        ("/etc/gateway/conf.d/a:b.conf:7", "data/x", "/etc/gateway/conf.d/data/x"),
        ("../gateway.conf:1", "./x", ".././x"),
        ("/etc/gateway.conf:42", "/srv/x", "/srv/x"),
        ("/gateway.conf:42", "x", "/x"),
    ])
    func `a path starts from the folder of the file it is written in`(origin: String, path: String, found: String) {
        let driven = Driven(Filing.self, settings: ["file": path], origin: origin)
        #expect(driven.host.calls == [.log(0, 1, found)])
        #expect(Driven(Filing.self, settings: ["files": path], origin: origin).host.calls == [.log(0, 1, "nil")])
    }

    @Test func `a setting that does not fit names its line`() {
        let driven = Driven(Curious.self, settings: ["history": "many"])
        #expect(driven.started == GW_E_FAILED)
        #expect(driven.host.deeds == [.fail(#"gateway.conf:42: set history: "many" is no Int"#)])
    }

    @Test func `an error thrown by init reaches the operator, and nothing is kept`() {
        let driven = Driven(Careful.self, settings: ["throw": "start"])
        #expect(driven.started == GW_E_FAILED)
        #expect(driven.host.calls == [.fail("cannot reach the database")])
    }

    @Test func `start with a host the entry never saw is refused`() {
        let table = Module.export(Echo.self, to: MockHost().table)!.pointee
        let driven = Driven(table, MockHost())
        #expect(driven.started == GW_E_INVALID)
        #expect(driven.host.calls == [.fail("start was called with another host table than the entry")])
    }

    @Test func `stop tells the handler once`() {
        let host = MockHost()
        var driven: Driven? = Driven(Careful.self, host: host)
        #expect(driven != nil && host.calls.isEmpty)
        driven = nil
        #expect(host.calls == [.log(0, 2, "stopped")])
    }

    @Test func `one module serves several routes`() {
        let host = MockHost()
        let (one, other) = (Driven(Echo.self, host: host), Driven(Echo.self, host: host))
        one.text(1, "a")
        other.text(2, "b")
        #expect(host.calls == [.text(1, "a"), .text(2, "b")])
    }
}
