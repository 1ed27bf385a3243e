import CGatewayABI
import GatewayHandler
import Testing

/// Every event as a closure, each answered with a send.
private let everything = Functional(Manifest(name: "all", version: "2.0.0")) { context in
    context.gateway
} upgrade: { _, request in
    request.subprotocols.isEmpty ? .accept(0) : .reject(.text("no\n", status: 401))
}
.onOpened { _, connection, request, _ in connection.send("opened \(request.path)") }
.onMessage { _, connection, message, count in
    count += 1
    if message.kind == .binary { throw Mishap(description: "no bytes") }
    connection.send("\(count) \(message.text ?? "")")
}
.onPing { _, connection, payload, _ in connection.send("ping \(payload.byteCount)") }
.onPong { _, connection, payload, _ in connection.send("pong \(payload.byteCount)") }
.onDrained { _, connection, _ in connection.send("drained") }
.onFailed { _, connection, failure, count in connection.log(.info, "failed after \(count): \(failure)") }
.onClosed { gateway, _, event, count in gateway.log(.info, "closed after \(count): \(event.code)") }
.onRequest { _, request in request.method == "GET" ? .text("hi") : nil }
.onReloadPending { gateway in gateway.log(.info, "pending") }
.onGap { gateway, topic in gateway.log(.info, "gap in \(topic ?? "any")") }
.onStop { gateway in gateway.log(.info, "stopped") }

@Suite("the functional flavour")
struct FunctionalTests {
    @Test func `offers only what has a closure`() {
        let bare = Driven(Functional(Manifest(name: "bare"))).table
        #expect(bare.http == nil && bare.fragment == nil && bare.ping == nil && bare.pong == nil)
        #expect(bare.drained == nil && bare.save_conn == nil && bare.state_format == 0)
        // A closure may have captured anything.
        #expect(bare.flags == 0)
        let all = Driven(everything).table
        #expect(all.http != nil && all.ping != nil && all.pong != nil && all.drained != nil && all.event != nil)
        #expect(all.fragment == nil && String(cString: all.name) == "all" && String(cString: all.version) == "2.0.0")
    }

    @Test func `calls each closure with what is shared and what is the connection's`() {
        let host = MockHost()
        var driven: Driven? = Driven(everything, host: host)
        let state = driven!.connect(1)
        driven!.text(1, state, "a")
        driven!.binary(1, state, [1])
        driven!.event(GW_EV_RELOAD_PENDING)
        driven!.event(GW_EV_GAP, data: "tea")
        driven!.raw { arena, instance in
            driven!.table.ping!(instance, 1, state, arena.bytes([1, 2]))
            driven!.table.pong!(instance, 1, state, arena.bytes([1]))
            driven!.table.drained!(instance, 1, state)
        }
        driven!.close(1, state)
        driven = nil
        #expect(
            host.calls.dropFirst() == [
                .text(1, "opened /rooms/tea time"), .text(1, "1 a"), .log(1, 4, "message threw: no bytes"),
                .close(1, 1011, ""), .log(1, 2, "failed after 2: no bytes"), .log(0, 2, "pending"),
                .log(0, 2, "gap in tea"), .text(1, "ping 2"), .text(1, "pong 1"), .text(1, "drained"),
                .log(0, 2, "closed after 2: 1000"), .log(0, 2, "stopped"),
            ])
    }

    @Test func `answers handshakes and requests`() {
        let driven = Driven(everything)
        #expect(driven.upgrade(subprotocols: ["chat"]) == GW_DEFER)
        #expect(driven.request() == GW_DEFER)
        #expect(driven.request(method: "PUT") == GW_REJECT)
        let type = [["content-type", "text/plain; charset=utf-8"]]
        #expect(
            driven.host.calls == [
                .reply(77, .init(status: 401, headers: type, body: "no\n")),
                .reply(77, .init(status: 200, headers: type, body: "hi")),
            ])
    }

    @Test func `takes fragments instead of messages`() {
        let driven = Driven(
            Functional(Manifest(name: "pieces")).onFragment { _, connection, piece, _ in
                connection.send("\(piece.text ?? "") \(piece.isFinal)")
            })
        driven.fragment(1, "a", flags: GW_FIRST | GW_FIN)
        #expect(driven.host.calls == [.text(1, "a true")])
    }

    @Test func `an error thrown at the start reaches the operator`() {
        let driven = Driven(Functional(Manifest(name: "late")) { _ in throw Mishap(description: "no database") })
        #expect(driven.started == GW_E_FAILED && driven.host.calls == [.fail("no database")])
    }
}
