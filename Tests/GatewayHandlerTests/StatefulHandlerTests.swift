import CGatewayABI
import GatewayHandler
import Testing

@Suite("state per connection")
struct StatefulHandlerTests {
    private func driven(_ name: String, throwing place: String = "") -> Driven {
        Driven(Careful.self, settings: ["name": name, "throw": place])
    }

    @Test func `is made by upgrade, kept between callbacks and freed once after close`() {
        let driven = driven("lifetime")
        let (one, other) = (driven.connect(1), driven.connect(2))
        #expect(one != nil && other != nil && one != other)
        driven.text(1, one, "a")
        driven.text(1, one, "b")
        driven.text(2, other, "c")
        #expect(Tracked.counts(of: "lifetime") == .init(made: 2, freed: 0))
        driven.close(1, one, code: 1001, reason: "bye")
        #expect(Tracked.counts(of: "lifetime") == .init(made: 2, freed: 1))
        driven.close(2, other)
        #expect(Tracked.counts(of: "lifetime") == .init(made: 2, freed: 2))
        let sent = driven.host.deeds.filter { if case .send = $0 { true } else { false } }
        #expect(sent == [.text(1, "hello"), .text(2, "hello"), .text(1, "1"), .text(1, "2"), .text(2, "1")])
        #expect(driven.host.calls.contains(.log(0, 2, "closed 1001 'bye' true 1 2 3 4 104")))
    }

    @Test func `is freed when the connection moves away`() {
        let driven = driven("moved")
        driven.drop(1, driven.connect(1))
        #expect(Tracked.counts(of: "moved") == .init(made: 1, freed: 1))
    }

    @Test func `is freed at once when the gateway refuses the reply`() {
        let driven = driven("refused")
        driven.host.set { $0.replyStatus = gw_status(GW_E_CLOSED) }
        #expect(driven.upgrade() == GW_E_FAILED)
        #expect(Tracked.counts(of: "refused") == .init(made: 1, freed: 1))
    }

    @Test func `costs nothing for a handler without`() {
        let driven = Driven(Echo.self)
        #expect(driven.upgrade() == GW_OK)
        driven.open(1)
        driven.text(1, "a")
        driven.close(1)
        driven.drop(1, nil)
        #expect(driven.host.calls == [.text(1, "a")])
    }

    @Test func `that is missing closes the connection instead of the process`() {
        let driven = driven("missing")
        driven.text(1, nil, "a")
        #expect(driven.host.calls == [.log(1, 4, "the connection has no state"), .close(1, 1011, "")])
    }
}

@Suite("an error thrown by a callback ends that connection with 1011")
struct ThrownErrorTests {
    @Test(arguments: ["opened", "message"])
    func `is logged, given to failed, and closes`(_ place: String) {
        let driven = Driven(Careful.self, settings: ["name": "throws in \(place)", "throw": place])
        driven.upgrade()
        let state = driven.host.connectionState
        driven.host.set { $0.calls = [] }
        if place == "opened" { driven.open(1, state) } else { driven.text(1, state, "a") }
        #expect(
            driven.host.calls == [
                .log(1, 4, "\(place) threw: in \(place)"), .close(1, 1011, ""),
                .log(1, 3, "failed after 0: in \(place)"),
            ])
        driven.close(1, state, code: 1011)
        #expect(Tracked.counts(of: "throws in \(place)") == .init(made: 1, freed: 1))
    }

    @Test func `in upgrade answers 500 and leaves nothing behind`() {
        let driven = Driven(Careful.self, settings: ["name": "throws in upgrade", "throw": "upgrade"])
        #expect(driven.upgrade() == GW_E_FAILED)
        #expect(driven.host.calls == [.log(0, 4, "upgrade threw: in upgrade")])
    }

    @Test func `an error of the gateway reaches failed in its words`() {
        let driven = Driven(Careful.self, settings: ["name": "gateway error"])
        let state = driven.connect(1)
        driven.error(1, state, "frame too large")
        #expect(driven.host.calls.last == .log(1, 3, "failed after 0: frame too large"))
        driven.close(1, state, code: 1009)
    }
}
