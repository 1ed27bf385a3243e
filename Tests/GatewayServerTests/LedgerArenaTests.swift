import TestSupport
import Testing

@testable import GatewayServer

@Suite("The arena of a ledger")
struct LedgerArenaTests {
    @Test func `blocks are as large as what is asked for, and little larger`() {
        var last = (index: -1, size: 0)
        for bytes in 0..<5000 {
            let fit = LedgerArena.fit(bytes)
            #expect(fit.size >= bytes && fit.size % 8 == 0 && fit.size <= max(64, bytes + bytes / 4 + 16))
            #expect(fit == LedgerArena.fit(fit.size), "a block that comes back has the class that it had")
            if fit.size == last.size {
                #expect(fit.index == last.index)
            } else {
                #expect(fit.index == last.index + 1)
            }
            last = fit
        }
        #expect(LedgerArena.fit(1 << 40).size == 1 << 40)
    }

    @Test func `no two blocks share a byte, and what is given back is used again`() {
        var random = SeededRandom(seed: 7)
        let range = 8192..<8192 + (1 << 20)
        var arena = LedgerArena(range)
        var blocks: [LedgerArena.Block] = []
        var refused = 0
        for _ in 0..<4000 {
            if Bool.random(using: &random), let index = blocks.indices.randomElement(using: &random) {
                arena.give(back: blocks.remove(at: index))
            } else if let block = arena.take(Int.random(in: 0..<20_000, using: &random)) {
                blocks.append(block)
            } else {
                refused += 1
            }
            let sorted = blocks.sorted { $0.offset < $1.offset }
            for (one, next) in zip(sorted, sorted.dropFirst()) { #expect(one.range.upperBound <= next.offset) }
            #expect(sorted.allSatisfy { range.contains($0.offset) && $0.range.upperBound <= range.upperBound })
        }
        #expect(refused > 0)
        let again = blocks.removeLast()
        arena.give(back: again)
        let taken = arena.take(again.size)
        #expect(taken == again)
        arena.give(back: LedgerArena.Block())
    }

    @Test func `what takes pages has them for itself`() {
        var arena = LedgerArena(4096..<1 << 20)
        _ = arena.take(100)
        let pages = arena.take(5000)
        #expect(pages?.offset == 8192)
        let none = arena.take(1 << 20)
        #expect(none == nil)
    }
}
