import CGatewayABI
import GatewayHandler
import Synchronization
import Testing

/// Answers nothing at once; what it owes is in its lists.
private final class Hesitant: StatefulHandler, RequestHandler {
    private let upgrades = Mutex<[DeferredUpgrade<Tracked>]>([])
    private let responses = Mutex<[DeferredResponse]>([])

    init(_ context: borrowing StartContext) {}

    func upgrade(_ request: borrowing Request) -> Upgrade<Tracked> {
        let answer: DeferredUpgrade<Tracked> = request.answerLater()
        upgrades.withLock { $0.append(answer) }
        return .later
    }

    func respond(to request: borrowing Request) -> Response? {
        let answer = request.respondLater()
        responses.withLock { $0.append(answer) }
        return .later
    }

    func message(_ connection: Connection, _ message: borrowing Message, _ state: inout Tracked) {
        let answers = upgrades.withLock { answers in
            defer { answers = [] }
            return answers
        }
        for answer in answers {
            switch message.text {
            case "accept": connection.send("\(answer.answer(.accept(Tracked(state.name), headers: ["x": "1"])))")
            default: connection.send("\(answer.answer(.reject(.text("no", status: 401))))")
            }
        }
        for answer in responses.withLock({ $0 }) { connection.send("\(answer.answer(nil))") }
    }
}

@Suite("answers that come later")
struct DeferredTests {
    private func slot(_ name: String) -> UnsafeMutableRawPointer {
        let slot = UnsafeMutablePointer<Tracked>.allocate(capacity: 1)
        slot.initialize(to: Tracked(name))
        return UnsafeMutableRawPointer(slot)
    }

    @Test func `an upgrade is accepted later, with its state`() {
        let driven = Driven(Hesitant.self)
        let state = slot("later")
        #expect(driven.upgrade() == GW_DEFER)
        #expect(driven.host.deeds.isEmpty)
        driven.text(9, state, "accept")
        let reply = Call.Reply(status: 101, headers: [["x", "1"]], hasState: true)
        #expect(driven.host.deeds == [.reply(77, reply), .text(9, "true")])
        driven.close(1, driven.host.connectionState)
        driven.close(9, state)
        #expect(Tracked.counts(of: "later") == .init(made: 2, freed: 2))
    }

    @Test(arguments: [GW_E_CLOSED, GW_E_STATE, GW_E_INVALID])
    func `a state that nobody took is freed`(_ status: Int) {
        let driven = Driven(Hesitant.self)
        let state = slot("refused \(status)")
        driven.host.set { $0.replyStatus = gw_status(status) }
        driven.upgrade()
        driven.text(9, state, "accept")
        #expect(driven.host.deeds.last == .text(9, "false"))
        #expect(Tracked.counts(of: "refused \(status)") == .init(made: 2, freed: 1))
        // Only a mistake is worth a line.
        #expect(driven.host.calls.contains { if case .log = $0 { true } else { false } } == (status == GW_E_INVALID))
        driven.close(9, state)
    }

    @Test func `an upgrade is refused later`() {
        let driven = Driven(Hesitant.self)
        let state = slot("no")
        driven.upgrade()
        driven.text(9, state, "reject")
        guard case .reply(77, let reply)? = driven.host.deeds.first else {
            Issue.record("\(driven.host.deeds)")
            return
        }
        #expect(reply.status == 401 && reply.body == "no" && !reply.hasState)
        driven.close(9, state)
    }

    @Test func `a plain request is answered later`() {
        let driven = Driven(Hesitant.self)
        let state = slot("plain")
        #expect(driven.request() == GW_DEFER)
        driven.text(9, state, "now")
        guard case .reply(77, let reply)? = driven.host.deeds.first else {
            Issue.record("\(driven.host.deeds)")
            return
        }
        #expect(reply.status == 404)
        driven.close(9, state)
    }
}
