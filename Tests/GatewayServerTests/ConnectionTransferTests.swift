import GatewayIO
import Synchronization
import TestSupport
import Testing

@testable import GatewayServer

/// Not all connections go, not all at once, and those that stay are served until their time is up.
@Suite("Connections on their way to another process")
struct ConnectionTransferTests {
    private func say(_ text: String, _ peer: SocketPeer, _ steps: StepWorker) -> [String] {
        peer.say(text)
        steps.step()
        return peer.texts
    }

    @Test func `a handler that cannot hand over keeps its connections until its drain_timeout`() throws {
        let crossing = try Crossing("fixture_counter_v1", route: "drain_timeout 320ms;")
        let peer = crossing.open()
        var facts = HandoverFacts(crossing.new.binding().pointee.generation)
        facts.stateFormat = 1
        try crossing.cross(facts: facts)
        #expect(crossing.figures == [0, 0, 0, 1] && crossing.transfer?.remainder == .init(unmovable: 1))
        #expect(say("a", peer, crossing.old) == ["1 1 a"])
        for _ in 0..<40 { crossing.old.step(ticks: 1) }
        #expect(crossing.figures == [0, 0, 1, 1])
        #expect(peer.frames().map(\.closeCode) == [1012])
    }

    @Test func `without room for it nothing moves, and then it does`() throws {
        let crossing = try Crossing()
        let peers = (0..<5).map { _ in crossing.open() }
        crossing.ferry.limit(to: 2)
        try crossing.cross()
        #expect(crossing.figures == [2, 0, 0, 0])
        #expect(say("a", peers[4], crossing.old) == ["1 1 a"])
        crossing.ferry.limit(to: .max)
        crossing.old.step(ticks: 1)
        try crossing.land()
        #expect(crossing.figures == [5, 0, 0, 1] && crossing.landed == [5, 0])
        #expect(say("b", peers[4], crossing.new) == ["1 2 b"])
    }

    @Test func `a slice is short, and between slices the worker serves`() throws {
        let crossing = try Crossing()
        let peers = (0..<20).map { _ in crossing.open() }
        crossing.old.stride = 100_000
        let transfer = try ConnectionTransfer(
            ["/echo": (crossing.old.route().handler, HandoverFacts(crossing.new.binding().pointee.generation))],
            to: crossing.ferry, patience: 1000, spread: 1, progress: ControlWaker())
        crossing.old.worker.port.post(.export(transfer))
        crossing.old.turnWithMail()
        let first = transfer.moved.load(ordering: .relaxed)
        #expect(first > 0 && first < 20)
        crossing.old.step()
        #expect(transfer.moved.load(ordering: .relaxed) == 20)
        try crossing.land()
        for peer in peers { #expect(say("a", peer, crossing.new) == ["1 1 a"]) }
    }

    @Test func `what ends meanwhile ends here`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        #expect(crossing.old.worker.port.close(peer.id, .init(code: 4000, reason: [], by: 3)))
        try crossing.cross()
        #expect(peer.frames().map(\.closeCode) == [4000])
    }
}
