import GatewayIO
import TestSupport
import Testing

@testable import GatewayServer

@Suite("What a handler knows of a connection is saved before its answers leave")
struct LedgerCheckpointsTests {
    /// How often the handler has answered, as it has saved that.
    private func count(_ peer: SocketPeer, _ survival: Survival) throws -> Int? {
        try survival.record(peer).handler?.state.map { state in
            #expect(state.isCheckpoint)
            return state.data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        }
    }

    private func say(_ text: String, _ peer: SocketPeer, _ survival: Survival) -> [String] {
        peer.say(text)
        survival.old.step()
        return peer.texts
    }

    @Test func `after each message, in one of two places`() throws {
        let survival = try Survival()
        let peers = [survival.open(), survival.open()]
        #expect(try count(peers[0], survival) == 0)
        let page = try #require(survival.old.worker.ledger)
        var places: Set<Int> = []
        for round in 1...6 {
            #expect(say("a", peers[0], survival).count == 1)
            #expect(try count(peers[0], survival) == round && count(peers[1], survival) == 0)
            let place = page.places[peers[0].id.slot]
            #expect(place.checkpoint.offset != place.spare.offset)
            places.formUnion([place.checkpoint.offset, place.spare.offset])
        }
        #expect(places.count == 2)
        // Several at once are saved once.
        peers[0].say("b", "c", "d")
        survival.old.step()
        #expect(try count(peers[0], survival) == 9)
    }

    @Test func `at intervals, of those that have changed`() throws {
        let survival = try Survival(checkpoint: .every(milliseconds: 200))
        let peers = [survival.open(), survival.open()]
        #expect(try count(peers[0], survival) == 0)
        #expect(say("a", peers[0], survival) == ["1 1 a"])
        #expect(say("b", peers[0], survival) == ["1 2 b"])
        #expect(try count(peers[0], survival) == 0)
        survival.old.step(after: 300)
        #expect(try count(peers[0], survival) == 2)
        #expect(say("c", peers[1], survival) == ["1 1 c"])
        survival.old.step(after: 300)
        #expect(try count(peers[0], survival) == 2 && count(peers[1], survival) == 1)
        // A slot whose connection has gone meanwhile is let be.
        #expect(say("d", peers[1], survival) == ["1 2 d"])
        peers[1].finish()
        survival.old.step()
        survival.old.step(after: 300)
        #expect(try survival.finding(peers[1]) == .gone)
    }

    @Test func `not where it is off, nor of a handler that keeps nothing`() throws {
        for (handler, checkpoint) in [("fixture_counter_v1", false), ("fixture_counter_stateless_v1", true)] {
            let survival = try Survival(handler, checkpoint: checkpoint ? .message : .off)
            let peer = survival.open()
            _ = say("a", peer, survival)
            #expect(try count(peer, survival) == nil)
        }
    }

    @Test func `behind timers and other events as well`() throws {
        let survival = try Survival()
        let peer = survival.open()
        _ = say("later", peer, survival)
        let page = try #require(survival.old.worker.ledger)
        let before = page.places[peer.id.slot].checkpoint
        survival.old.step(after: 25)
        #expect(peer.texts == ["1 event 7"])
        #expect(page.places[peer.id.slot].checkpoint != before)
    }
}
