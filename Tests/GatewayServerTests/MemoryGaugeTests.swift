import CGatewayABI
import GatewayIO
import Synchronization
import TestSupport
import Testing

@testable import GatewayServer

@Suite("max_memory: the connections that hold most are closed, newcomers are refused, until it is below")
struct MemoryGaugeTests {
    private func start(_ memory: String = "max_memory 1m;") throws -> StepWorker {
        try StepWorker(
            route: "send_buffer 8m; close_timeout 1s; write_timeout off;",
            rest: "\(memory) defaults { ping_interval off; }")
    }

    /// A peer that reads nothing, for which messages of some sizes wait.
    private func peer(_ steps: StepWorker, holding sizes: [Int]) -> StepWorker.Peer {
        let peer = steps.open()
        _ = peer.frames()
        peer.stall()
        for size in sizes {
            let bytes = [UInt8](repeating: 1, count: size)
            steps.onWorker {
                _ = bytes.withUnsafeBytes {
                    steps.host().send(peer.id!.number, UInt32(GW_BINARY), 0, $0.baseAddress, $0.count)
                }
            }
        }
        steps.step()
        return peer
    }

    private func counts(_ steps: StepWorker) -> (refused: Int, shed: Int) {
        let memory = steps.server.context.memory
        return (memory.refused.load(ordering: .relaxed), memory.shed.load(ordering: .relaxed))
    }

    @Test func `the one that holds most goes, hears 1013, and what waited for it is freed at once`() throws {
        let steps = try start()
        let fat = peer(steps, holding: [10_000, 300_000, 300_000])
        let thin = [peer(steps, holding: [200_000]), peer(steps, holding: [200_000])]
        steps.step(after: 200)
        #expect(fat.phase == .open && counts(steps) == (0, 0))
        fat.widen(by: 1)
        let fatter = peer(steps, holding: [400_000])
        steps.step(after: 200)
        #expect(fat.phase == .closing && counts(steps) == (0, 1))
        #expect(thin.allSatisfy { $0.phase == .open } && fatter.phase == .open)
        #expect(fat.place.map { $0.pointee.outbox.count < 11_000 } == true)
        fat.widen(by: 1 << 20)
        let frames = fat.frames()
        // The frame that had begun is whole; nothing of the others was sent.
        #expect(frames.map(\.payload.count).first == 10_000 && frames.last == .close(1013, "memory limit"))
        #expect(frames.count == 2)
        steps.step(after: 200)
        #expect(steps.server.context.memory.isExceeded.load(ordering: .relaxed) == false)
        #expect(steps.open().phase == .open)
    }

    @Test func `newcomers hear 503 while too much is held, and are served again when it is not`() throws {
        let steps = try start()
        let before = steps.open()
        _ = before.frames()
        let fat = peer(steps, holding: [1 << 20])
        fat.widen(by: 1)
        steps.step(after: 200)
        // What has begun to leave cannot be taken back.
        #expect(fat.phase == .closing && counts(steps) == (0, 1))
        let answer = steps.connect(saying: "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        steps.step()
        let text = answer.response()
        #expect(text.hasPrefix("HTTP/1.1 503 ") && text.contains("memory-limit"))
        #expect(counts(steps) == (1, 1))
        // Those who are here are served.
        before.say("here")
        steps.step()
        #expect(before.frames() == [.text("here")])
        fat.widen(by: 1 << 21)
        steps.step(after: 200)
        #expect(steps.open().phase == .open && counts(steps) == (1, 1))
    }

    @Test func `half a message counts as well`() throws {
        let steps = try start()
        let sender = steps.open()
        let bytes = ClientFrame(2, [UInt8](repeating: 1, count: 1_000_000)).bytes
        sender.say(Array(bytes[..<990_000]))
        steps.step()
        steps.step(after: 200)
        let second = peer(steps, holding: [500_000])
        steps.step(after: 200)
        #expect(sender.phase == .closing && second.phase == .open && counts(steps).shed == 1)
        #expect(sender.place.map { $0.pointee.assembler.capacity } == 0)
    }

    @Test func `off counts nothing`() throws {
        let steps = try start("")
        let fat = peer(steps, holding: [4 << 20])
        steps.step(after: 2000)
        #expect(fat.phase == .open && counts(steps) == (0, 0) && steps.server.context.memory.total == 0)
    }

    @Test func `as much as may be held is not too much, and a byte more is`() {
        let budget = MemoryBudget(Log(threshold: nil))
        let full = MemoryBudget.Share(held: 1000, leaving: 24)
        #expect(budget.note(full, before: .init(), most: 1024, now: 1) == 0)
        #expect(budget.isExceeded.load(ordering: .relaxed) == false)
        let more = MemoryBudget.Share(held: 1025, leaving: 24)
        #expect(budget.note(more, before: full, most: 1024, now: 2) == 1)
        #expect(budget.isExceeded.load(ordering: .relaxed) && budget.total == 1049)
        // What leaves anyway is not shed, and is too much all the same.
        let leaving = MemoryBudget.Share(held: 1000, leaving: 25)
        #expect(budget.note(leaving, before: more, most: 1024, now: 3) == 0)
        #expect(budget.isExceeded.load(ordering: .relaxed) == true)
        #expect(budget.note(full, before: leaving, most: 1024, now: 4) == 0)
        #expect(budget.isExceeded.load(ordering: .relaxed) == false)
    }

    @Test func `each worker sheds its part`() {
        let budget = MemoryBudget(Log(threshold: nil))
        #expect(budget.note(.init(held: 300), before: .init(), most: 1000, now: 1) == 0)
        #expect(budget.note(.init(held: 900), before: .init(), most: 1000, now: 2) == 150)
        #expect(budget.note(.init(held: 300), before: .init(held: 300), most: 1000, now: 3) == 50)
    }
}
