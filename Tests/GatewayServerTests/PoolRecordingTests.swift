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

    /// A connection whose handler stands at the gate.
    private func stand(_ survival: Survival, at gate: Gate, then texts: String...) throws -> SocketPeer {
        let peer = open(survival)
        peer.say((["wait \(gate.text)"] + texts).flatMap { ClientFrame(1, Array($0.utf8)).bytes })
        survival.old.step()
        try gate.entered()
        survival.old.step()
        return peer
    }

    @Test func `and is given once more what runs, and then what waits`() throws {
        let survival = try Survival("fixture_blocker_v1", route: "dispatch pool;")
        let gate = try Gate()
        let peer = try stand(survival, at: gate, then: "b", "c")
        let record = try survival.record(peer)
        #expect(record.input.queued.map(\.text) == ["wait \(gate.text)", "b", "c"])
        #expect(record.traffic.messagesIn == 3 && record.handledMessages == 0)
        gate.release()
        #expect(
            try eventually {
                survival.old.step()
                return try survival.record(peer).input.queued.isEmpty
            })
        #expect(peer.texts.count == 3)
    }

    @Test func `but not what may have been answered`() throws {
        let survival = try Survival("fixture_blocker_v1", route: "dispatch pool;")
        let gate = try Gate()
        let peer = try stand(survival, at: gate, then: "b")
        "answer".withCString {
            #expect(survival.old.host().send(peer.id.number, 1, 0, $0, 6) == 0)
        }
        survival.old.step()
        #expect(try survival.finding(peer).loss == LedgerObstacle.pool.sentence)
        gate.release()
        #expect(
            try eventually {
                survival.old.step()
                return try survival.finding(peer).loss == nil
            })
        #expect(try survival.record(peer).input.queued.isEmpty)
    }

    @Test func `in the process after it as well`() throws {
        let survival = try Survival("fixture_blocker_v1", route: "dispatch pool;")
        let gates = (try Gate(), try Gate())
        let peer = try stand(survival, at: gates.0, then: "b", "wait \(gates.1.text)", "c")
        gates.0.release(2)
        try gates.1.entered()
        survival.old.step()
        #expect(try survival.record(peer).input.queued.count == 2)
        _ = peer.texts
        try survival.goOn(peer)
        try gates.1.entered()
        survival.new.step()
        guard case .goesOn(let record) = try survival.new.finding(peer.id) else {
            Issue.record("\(try survival.new.finding(peer.id))")
            return
        }
        #expect(record.input.queued.map(\.text) == ["wait \(gates.1.text)", "c"])
        #expect(record.traffic.messagesIn == 4 && record.handledMessages == 2)
        gates.1.release(2)
        var texts: [String] = []
        #expect(
            eventually {
                survival.new.step()
                texts += peer.texts
                return texts.count == 2
            })
        #expect(texts.last?.hasSuffix(" c") ?? false)
    }

    private func recording() throws -> PoolRecording {
        let file = try Ledger.makeFile(workers: 1, capacity: 4)
        return PoolRecording(
            of: ConnectionID(worker: 0, slot: 0, serial: 1), in: try Ledger(mapping: file), behind: 7)
    }

    @Test func `what has begun, and what is to be saved`() throws {
        let recording = try recording()
        #expect(!recording.saves(.message))
        recording.note(.call(.drained))
        #expect(!recording.saves(.message), "before it is open")
        recording.note(.restore(StateRecord()))
        #expect(!recording.saves(.off) && recording.saves(.every(5)) && !recording.saves(.message))
        recording.noteSaved()
        recording.note(.call(.drained))
        #expect(!recording.saves(.every(5)), "at intervals only the first time")
        #expect(recording.saves(.message))
        recording.note(.call(.message(kind: 1, flags: 0, [], receivedAt: 0)))
        #expect(!recording.saves(.message), "the message is not over")
        #expect(recording.begun == 4 && recording.passing == 2)
        #expect(recording.messageCount.pointee == 7)
        recording.note(.call(.message(kind: 1, flags: 1, [], receivedAt: 0)))
        #expect(recording.messageCount.pointee == 8 && recording.saves(.message))
        recording.note(.peerClosed)
        #expect(recording.begun == 5)
    }
}

extension QueuedInput {
    var text: String { String(decoding: payload, as: UTF8.self) }
}
