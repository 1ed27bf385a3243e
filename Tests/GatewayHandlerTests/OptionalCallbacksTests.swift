import CGatewayABI
import GatewayHandler
import Testing

/// Throws in every optional callback.
private final class Thrower: ReactiveHandler, FragmentHandler, PingHandler, PongHandler, DrainHandler {
    init(_ context: borrowing StartContext) {}

    func fragment(_ connection: Connection, _ fragment: borrowing Message, _ state: inout Void) throws {
        throw Mishap(description: "!")
    }
    func ping(_ connection: Connection, _ payload: RawSpan, _ state: inout Void) throws {
        throw Mishap(description: "!")
    }
    func pong(_ connection: Connection, _ payload: RawSpan, _ state: inout Void) throws {
        throw Mishap(description: "!")
    }
    func drained(_ connection: Connection, _ state: inout Void) throws { throw Mishap(description: "!") }
}

/// Pieces joined in the state: a handler with both.
private final class Joiner: StatefulHandler, FragmentHandler {
    init(_ context: borrowing StartContext) {}
    func upgrade(_ request: borrowing Request) -> Upgrade<String> { .accept("") }
    func fragment(_ connection: Connection, _ fragment: borrowing Message, _ joined: inout String) {
        joined += fragment.text ?? ""
        if fragment.isFinal { connection.send(joined) }
    }
}

@Suite("optional callbacks")
struct OptionalCallbacksTests {
    @Test func `each reaches the handler`() {
        let driven = Driven(Everything.self)
        driven.fragment(1, "a", flags: GW_FIRST)
        driven.fragment(1, "b", flags: 0)
        driven.fragment(1, "", flags: GW_FIN)
        driven.ping(1, [9, 8])
        driven.ping(1, [])
        driven.pong(1, [7])
        driven.drained(1)
        #expect(
            driven.host.calls == [
                .text(1, "fragment a true false"), .text(1, "fragment b false false"), .text(1, "fragment  false true"),
                .pong(1, [9, 8]), .pong(1, []), .text(1, "pong 1"), .text(1, "drained"),
            ])
    }

    @Test func `an error thrown in any of them closes with 1011`() {
        let driven = Driven(Thrower.self)
        driven.fragment(1, "a", flags: GW_FIRST)
        driven.ping(2, [])
        driven.pong(3, [])
        driven.drained(4)
        #expect(driven.host.deeds == (1...4).map { .close($0, 1011, "") })
        let names = ["fragment", "ping", "pong", "drained"]
        #expect(
            driven.host.calls.filter { !driven.host.deeds.contains($0) }
                == names.enumerated().map { .log(UInt64($0.offset) + 1, 4, "\($0.element) threw: !") })
    }

    @Test func `fragments and state go together`() {
        let driven = Driven(Joiner.self)
        let state = driven.connect(1)
        driven.raw { arena, instance in
            for (text, flags) in [("Grü", GW_FIRST), ("ße", 0), ("!", GW_FIN)] {
                var message = arena.message(Array(text.utf8), kind: GW_TEXT, flags: flags)
                driven.table.fragment!(instance, 1, state, &message)
            }
        }
        driven.close(1, state)
        #expect(driven.host.calls.last == .text(1, "Grüße!"))
    }

    @Test func `a plain request is answered through reply`() {
        let driven = Driven(Everything.self)
        #expect(driven.request() == GW_DEFER)
        #expect(driven.request(method: "POST", body: [104, 105]) == GW_DEFER)
        #expect(
            driven.host.calls == [
                .reply(
                    77, .init(status: 200, headers: [["content-type", "text/html; charset=utf-8"]], body: "<p>hello")),
                .reply(77, .init(status: 201, headers: [["x-a", "1"], ["x-b", ""]], body: "hi")),
            ])
    }

    @Test func `no response is 404, a thrown error 500`() {
        let driven = Driven(Everything.self)
        #expect(driven.request(method: "DELETE") == GW_REJECT)
        #expect(driven.request(method: "PUT") == GW_E_FAILED)
        #expect(driven.host.calls == [.log(0, 4, "respond threw: no put")])
    }
}
