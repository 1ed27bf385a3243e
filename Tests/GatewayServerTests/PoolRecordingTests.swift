import GatewayIO
import TestSupport
import Testing

@testable import GatewayServer

@Suite("A connection on the pool is written down when nothing of it runs")
struct PoolRecordingTests {
    private func open(_ survival: Survival) -> SocketPeer {
        let peer = survival.open()
        #expect(
            eventually {
                survival.old.step()
                return peer.place(in: survival.old)?.pointee.phase == .open
            })
        _ = peer.frames()
        return peer
    }

    /// How often the handler has answered, as it has saved that; nil while it cannot go on.
    private func count(_ peer: SocketPeer, _ survival: Survival) throws -> Int? {
        guard case .goesOn(let record) = try survival.finding(peer) else { return nil }
        return record.handler?.state?.data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    @Test func `with what its handler has saved there`() throws {
        let survival = try Survival(route: "dispatch pool;")
        let peer = open(survival)
        for round in 0..<20 {
            #expect(
                try eventually {
                    survival.old.step()
                    return try count(peer, survival) == round
                }, "round \(round)")
            peer.say("a")
        }
    }

    @Test func `at intervals`() throws {
        let survival = try Survival(route: "dispatch pool;", checkpoint: .every(milliseconds: 100))
        let peer = open(survival)
        #expect(
            try eventually {
                survival.old.step()
                return try count(peer, survival) == 0
            })
        peer.say("a")
        #expect(
            try eventually {
                survival.old.step(after: 40)
                return try count(peer, survival) == 1
            })
    }

    @Test func `and is lost while a callback of it runs`() throws {
        let survival = try Survival("fixture_blocker_v1", route: "dispatch pool;")
        let gate = try Gate()
        let peer = open(survival)
        peer.say("wait \(gate.text)")
        survival.old.step()
        try gate.entered()
        survival.old.step()
        guard case .lost(let why, .some) = try survival.finding(peer) else {
            Issue.record("\(try survival.finding(peer))")
            return
        }
        #expect(why == LedgerObstacle.pool.sentence)
        gate.release()
        #expect(
            try eventually {
                survival.old.step()
                if case .goesOn = try survival.finding(peer) { return true }
                return false
            })
        #expect(peer.texts.count == 1)
    }

    @Test func `a rest counts when nothing has run since`() {
        let recording = PoolRecording()
        #expect(recording.rest() == nil && !recording.saves(.message))
        recording.note(.call(.drained))
        #expect(!recording.saves(.message), "before it is open")
        recording.note(.restore(StateRecord()))
        #expect(!recording.saves(.off) && recording.saves(.every(5)) && !recording.saves(.message))
        recording.keep(StateRecord(version: 1))
        recording.note(.call(.drained))
        #expect(!recording.saves(.every(5)), "at intervals only the first time")
        #expect(recording.saves(.message))
        #expect(recording.rest() == 1 && recording.rest() == nil && recording.isLast(1))
        recording.note(.call(.message(kind: 1, flags: 0, [], receivedAt: 0)))
        #expect(!recording.isLast(1) && !recording.saves(.message), "the message is not over")
        #expect(recording.rest() == 2 && !recording.isLast(1) && recording.isLast(2))
        #expect(recording.takeSaved()?.version == 1 && recording.takeSaved() == nil)
    }
}
