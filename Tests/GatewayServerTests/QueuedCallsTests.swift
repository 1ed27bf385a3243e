import Glibc
import TestSupport
import Testing

@testable import GatewayServer

/// The first call stands at a gate, so nothing but the test is done with any.
@Suite("What waits for the pool is written down as it comes and goes")
struct QueuedCallsTests {
    /// What a connection is to be given in another process.
    private struct Model {
        var queued: [QueuedInput] = []
        var part: [UInt8] = []
    }

    private let survival: Survival
    private let gate: Gate
    private let peer: SocketPeer
    private var model = Model()

    init() throws {
        survival = try Survival("fixture_blocker_v1", route: "dispatch pool;")
        gate = try Gate()
        let (survival, peer) = (survival, survival.open())
        self.peer = peer
        #expect(
            eventually {
                survival.old.step()
                return peer.place(in: survival.old)?.pointee.phase == .open
            })
        _ = peer.frames()
        say("wait \(gate.text)")
        try gate.entered()
        // `open` is over.
        #expect(
            try eventually {
                survival.old.step()
                return try survival.finding(peer).loss == nil
            })
        model.queued = [Self.message(Array("wait \(gate.text)".utf8))]
    }

    private static func message(_ payload: [UInt8]) -> QueuedInput {
        QueuedInput(kind: .message, type: 1, flags: 3, payload: payload)
    }

    private func say(_ text: String) { say(ClientFrame(1, Array(text.utf8)).bytes) }

    private func say(_ bytes: [UInt8]) {
        peer.say(bytes)
        survival.old.step()
    }

    private var calls: QueuedCalls? { peer.place(in: survival.old)?.pointee.rareState?.calls }

    /// The pool is done with the next one.
    private func finish() {
        survival.old.onWorker {
            calls?.finish(.input)
            survival.old.worker.ledger?.touch(peer.id.slot)
            survival.old.worker.ledger?.settle(on: survival.old.worker)
        }
    }

    private func check(_ model: Model, _ step: String) throws {
        var record = try survival.record(peer)
        for index in record.input.queued.indices { record.input.queued[index].receivedAt = 0 }
        #expect(record.input.queued == model.queued && record.input.message == model.part, "\(step)")
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>) func `in any order`(_ seed: UInt64) throws {
        defer { gate.release() }
        var (random, model) = (SeededRandom(seed: seed), model)
        var isInside = false
        try check(model, "at first")
        for step in 0..<300 {
            let text = Array(String(repeating: "x\(step) ", count: random.once(in: 6) ? 400 : 1).utf8)
            switch Int.random(in: 0..<8, using: &random) {
            case 0...1 where !isInside:
                say(ClientFrame(1, text).bytes)
                model.queued.append(Self.message(text))
            case 2...3:
                say(ClientFrame(isInside ? 0 : 1, text, isFinal: false).bytes)
                model.part += text
                isInside = true
            case 4 where isInside:
                say(ClientFrame(0, text).bytes)
                model.queued.append(Self.message(model.part + text))
                (isInside, model.part) = (false, [])
            case 5:
                say(ClientFrame(9, [UInt8(step & 255)]).bytes)
                model.queued.append(QueuedInput(kind: .ping, payload: [UInt8(step & 255)]))
            case 6...7 where !model.queued.isEmpty:
                finish()
                model.queued.removeFirst()
            default: continue
            }
            _ = peer.heard()
            try check(model, "seed \(seed), step \(step)")
        }
    }

    @Test func `whichever bit is wrong: it is as it was, or lost`() throws {
        defer { gate.release() }
        var random = SeededRandom(seed: 8)
        say("b")
        say(ClientFrame(1, Array("half".utf8), isFinal: false).bytes + ClientFrame(9, [1]).bytes)
        say(ClientFrame(0, Array("more".utf8), isFinal: false).bytes)
        let record = try survival.record(peer)
        #expect(record.input.queued.count == 3 && record.input.message == Array("halfmore".utf8))
        let layout = LedgerLayout(workers: 1, capacity: 64)
        let slot = try #require(layout.slot(of: peer.id))
        var lost = 0
        for _ in 0..<2000 {
            let offset =
                random.once(in: 3)
                ? slot + Int.random(in: 0..<LedgerSlot.size, using: &random)
                : layout.arena(0).lowerBound + Int.random(in: 0..<8192, using: &random)
            var byte: UInt8 = 0
            pread(survival.old.ledger, &byte, 1, offset)
            var wrong = byte ^ UInt8(1 << Int.random(in: 0..<8, using: &random))
            pwrite(survival.old.ledger, &wrong, 1, offset)
            switch try survival.finding(peer) {
            case .goesOn(let found):
                #expect(found.input == record.input && found.handler?.state == record.handler?.state, "byte \(offset)")
            case .lost, .died, .absent, .arriving, .gone, .given: lost += 1
            }
            pwrite(survival.old.ledger, &byte, 1, offset)
        }
        #expect(lost > 50)
    }

    @Test func `entries that count what is not there`() throws {
        defer { gate.release() }
        say("b")
        let slot = try #require(LedgerLayout(workers: 1, capacity: 64).slot(of: peer.id))
        var words = [UInt64](repeating: 0, count: LedgerSlot.size / 8)
        _ = words.withUnsafeMutableBytes { pread(survival.old.ledger, $0.baseAddress, $0.count, slot) }
        let whole = try #require(LedgerSlot.read(words))
        let length = whole.messageLength
        for wrong in [0, 8, length - 8, length + 8, length + 4096, 1 << 29, Int(UInt32.max)] {
            var entry = whole
            entry.messageLength = wrong
            let first = LedgerSlot.entry(words[0]) / 8
            for index in 0..<LedgerEntry.count { words[first + index] = entry[index] }
            words[first + LedgerEntry.count] = entry.sum(words[0])
            _ = words.withUnsafeBytes { pwrite(survival.old.ledger, $0.baseAddress, $0.count, slot) }
            let finding = try survival.finding(peer)
            if wrong == 0 {
                #expect(try survival.record(peer).input.queued.isEmpty)
            } else if case .lost(let why, nil) = finding {
                #expect(why.contains("queue"))
            } else {
                Issue.record("\(wrong): \(finding)")
            }
        }
    }

    @Test func `no room for it`() throws {
        defer { gate.release() }
        let page = try #require(survival.old.worker.ledger)
        page.arena = LedgerArena(0..<0)
        say(String(repeating: "b", count: 3000))
        #expect(try survival.finding(peer).loss == LedgerObstacle.tooMuchQueued.sentence)
        page.arena = LedgerArena(LedgerLayout(workers: 1, capacity: 64).arena(0).lowerBound + 1 << 20..<1 << 28)
        say("c")
        #expect(try survival.finding(peer).loss == LedgerObstacle.tooMuchQueued.sentence)
        for _ in 0..<3 { finish() }
        #expect(try survival.record(peer).input.queued.isEmpty)
        say("d")
        #expect(try survival.record(peer).input.queued.map(\.text) == ["d"])
    }
}
