import CGatewayABI
import GatewayHandler
import Testing

private final class Doorman: ReactiveHandler {
    private let rule: String

    init(_ context: borrowing StartContext) { rule = context.setting("rule") ?? "" }
    func message(_ connection: Connection, _ message: borrowing Message) {}

    func upgrade(_ request: borrowing Request) -> Upgrade<Void> {
        switch rule {
        case "accept": .accept()
        case "choose": .accept(subprotocol: request.subprotocols.last, headers: ["x-room": "tea"])
        case "reject": .reject()
        case "401": .reject(Response(status: 401, headers: ["www-authenticate": "Basic"]))
        // An "accept" in disguise would leave a connection without the handler's consent.
        case "101": .reject(Response(status: 101))
        case "0": .reject(Response(status: 0))
        default: .reject(Response(status: .max))
        }
    }
}

@Suite("the answer to an opening handshake")
struct UpgradeTests {
    @Test(arguments: [
        ("accept", GW_OK, nil),
        ("choose", GW_DEFER, Call.Reply(status: 101, subprotocol: "chat.v1", headers: [["x-room", "tea"]])),
        (
            "reject", GW_DEFER,
            Call.Reply(status: 403, headers: [["content-type", "text/plain; charset=utf-8"]], body: "forbidden\n")
        ),
        ("401", GW_DEFER, Call.Reply(status: 401, headers: [["www-authenticate", "Basic"]])),
        ("101", GW_DEFER, Call.Reply(status: 500)), ("0", GW_DEFER, Call.Reply(status: 500)),
        ("huge", GW_DEFER, Call.Reply(status: 500)),
    ])
    func `is given once`(_ rule: String, _ status: Int, _ reply: Call.Reply?) {
        let driven = Driven(Doorman.self, settings: ["rule": rule])
        #expect(driven.upgrade(subprotocols: ["chat.v2", "chat.v1"]) == gw_status(status))
        #expect(driven.host.calls == (reply.map { [.reply(77, $0)] } ?? []))
    }

    @Test func `that the gateway refuses is an error in the log and a 500`() {
        let driven = Driven(Doorman.self, settings: ["rule": "choose"])
        driven.host.set { $0.replyStatus = gw_status(GW_E_INVALID) }
        #expect(driven.upgrade() == GW_E_FAILED)
        #expect(driven.host.calls.last == .log(0, 4, "the answer to an upgrade was refused by the gateway (status -4)"))
    }
}
