import GatewayIO
import TestSupport
import Testing

@testable import GatewayServer

@Suite("Handshakes, turn by turn: few at once, and nobody waits for them who is connected")
struct HandshakeTurnsTests {
    private let steps: StepWorker

    init() throws { steps = try StepWorker(capacity: 128) }

    private func peers(_ count: Int, _ limit: HandshakeLimit, steps number: Int = 1) -> [StepWorker.Peer] {
        (0..<count).map { _ in steps.connect(handshake: number, limit: limit) }
    }

    @Test func `a storm of peers takes so many steps in a turn, and who is here is served in each`() throws {
        let open = steps.open()
        _ = open.frames()
        let storm = peers(50, HandshakeLimit(100), steps: 2)
        var turns = 0
        while storm.contains(where: { $0.stepsLeft > 0 }) {
            let before = storm.map(\.stepsLeft).reduce(0, +)
            open.say("turn \(turns)")
            steps.turn()
            #expect(before - storm.map(\.stepsLeft).reduce(0, +) <= HandshakeTurns.stepsPerTurn)
            #expect(open.frames() == [.text("turn \(turns)")])
            turns += 1
            try #require(turns < 100)
        }
        // No turn is wasted either: it has as many steps as it may, but for the last peers, who make one in a turn.
        #expect(turns <= 100 / HandshakeTurns.stepsPerTurn + 2)
        #expect(storm.allSatisfy { $0.phase == .head })
    }

    @Test func `those above handshake_limit wait in the order of their coming`() throws {
        let limit = HandshakeLimit(2)
        let all = peers(5, limit, steps: 3)
        var order: [Int] = []
        for _ in 0..<60 where order.count < 5 {
            steps.turnWithMail()
            #expect(all.count { (1..<3).contains($0.stepsLeft) } <= 2)
            order += all.indices.filter { all[$0].stepsLeft == 0 && !order.contains($0) }
        }
        #expect(order == [0, 1, 2, 3, 4])
    }

    @Test func `who waits has the time of the handshake for it, counted from connecting`() throws {
        let limit = HandshakeLimit(1)
        // It never ends its handshake.
        let first = peers(1, limit, steps: 1_000_000)[0]
        steps.turn()
        let second = peers(1, limit)[0]
        steps.turn()
        #expect(first.stepsLeft < 1_000_000 && second.stepsLeft == 1)
        steps.turn(after: 9_000)
        #expect(second.phase == .head)
        steps.turn(after: 2_000)
        steps.turn()
        #expect(first.place == nil && second.place == nil && second.stepsLeft == 1)
        // Both places are free again, the one that nobody was there to take included.
        let third = peers(1, limit)[0]
        steps.step()
        #expect(third.stepsLeft == 0)
    }

    @Test func `who leaves leaves his place to the next, and who has left is passed over`() throws {
        let limit = HandshakeLimit(1)
        let all = peers(4, limit, steps: 1_000_000)
        steps.turn()
        all[1].reset()
        all[2].reset()
        all[0].reset()
        for _ in 0..<6 { steps.turnWithMail() }
        #expect(all[0].place == nil)
        #expect(all[3].stepsLeft < 1_000_000)
        #expect(all[1].stepsLeft == 1_000_000 && all[2].stepsLeft == 1_000_000)
    }

    @Test func `a peer that says nothing takes no place`() throws {
        let limit = HandshakeLimit(1)
        let silent = steps.connect(handshake: 1, limit: limit, isSilent: true)
        let other = peers(1, limit)[0]
        steps.step()
        #expect(silent.stepsLeft == 1 && other.stepsLeft == 0)
    }

    @Test func `a higher limit lets in those who wait`() throws {
        let limit = HandshakeLimit(1)
        let all = peers(3, limit, steps: 1_000_000)
        steps.turn()
        #expect(all.count { $0.stepsLeft < 1_000_000 } == 1)
        limit.change(to: 3)
        for _ in 0..<3 { steps.turnWithMail() }
        #expect(all.allSatisfy { $0.stepsLeft < 1_000_000 })
    }

    @Test func `each that ends is counted, and one whose time is up`() throws {
        let limit = HandshakeLimit(10)
        _ = peers(2, limit, steps: 1)
        _ = peers(1, limit, steps: 1_000_000)
        // It says nothing, and so it has begun none.
        _ = steps.connect(handshake: 1, limit: limit, isSilent: true)
        for _ in 0..<4 { steps.turn() }
        func counts() -> [Bool: UInt64] {
            Dictionary(uniqueKeysWithValues: steps.server.context.tlsHandshakes.all.map { ($0.kind.isOpen, $0.count) })
        }
        #expect(counts() == [true: 2])
        steps.turn(after: 11_000)
        steps.turn()
        #expect(counts() == [true: 2, false: 1])
    }
}
