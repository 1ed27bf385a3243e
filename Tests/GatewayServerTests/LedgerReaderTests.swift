import GatewayIO
import Glibc
import TestSupport
import Testing

@testable import GatewayServer

@Suite("What a process has left is not believed")
struct LedgerReaderTests {
    private static func bare(_ record: ConnectionRecord) -> ConnectionRecord {
        var record = record
        record.times = TimeRecord()
        for index in (record.handler?.timers ?? []).indices { record.handler?.timers[index].dueIn = 0 }
        return record
    }

    @Test func `whichever bit is wrong: a connection is as it was, or lost`() throws {
        var random = SeededRandom(seed: 5)
        let survival = try Survival()
        let peer = survival.open()
        peer.say("join", "later", "a")
        survival.old.step()
        peer.say(Array(ClientFrame(2, [UInt8](repeating: 9, count: 300)).bytes.prefix(200)))
        survival.old.step()
        let record = Self.bare(try survival.record(peer))
        let layout = LedgerLayout(workers: 1, capacity: 64)
        let slot = try #require(layout.slot(of: peer.id))
        let arena = layout.arena(0).lowerBound
        var lost = 0
        for _ in 0..<2000 {
            let offset: Int
            switch Int.random(in: 0..<4, using: &random) {
            case 0: offset = Int.random(in: 0..<80, using: &random)
            case 1: offset = layout.reading(0) + Int.random(in: 0..<48, using: &random)
            case 2: offset = slot + Int.random(in: 0..<LedgerSlot.size, using: &random)
            default: offset = arena + Int.random(in: 0..<4096, using: &random)
            }
            var byte: UInt8 = 0
            pread(survival.old.ledger, &byte, 1, offset)
            var wrong = byte ^ UInt8(1 << Int.random(in: 0..<8, using: &random))
            pwrite(survival.old.ledger, &wrong, 1, offset)
            // A header that is none is found out before anything else.
            if (try? survival.old.finding(peer.id)) != nil {
                switch try survival.finding(peer) {
                case .goesOn(let found): #expect(Self.bare(found) == record, "byte \(offset)")
                case .lost, .died, .absent, .arriving, .gone, .given: lost += 1
                }
            } else {
                #expect(offset < 32)
            }
            pwrite(survival.old.ledger, &byte, 1, offset)
        }
        #expect(lost > 100)
        #expect(Self.bare(try survival.record(peer)) == record)
    }

    @Test func `rubbish of any kind is lost, or nothing`() throws {
        var random = SeededRandom(seed: 6)
        let file = try Ledger.makeFile(workers: 1, capacity: 64)
        let layout = LedgerLayout(workers: 1, capacity: 64)
        let id = ConnectionID(worker: 0, slot: 3, serial: 1)
        let slot = try #require(layout.slot(of: id))
        for _ in 0..<300 {
            let bytes = random.bytes(LedgerSlot.size)
            bytes.withUnsafeBytes { _ = pwrite(file.number, $0.baseAddress, $0.count, slot) }
            #expect(try LedgerReader(file).finding(of: id) == .lost("its entry is damaged", nil))
        }
        // Whole entries that point anywhere.
        for _ in 0..<3000 {
            var entry = LedgerEntry()
            for index in 0..<LedgerEntry.count {
                entry[index] = random.next() >> UInt64.random(in: 0..<64, using: &random)
            }
            entry[.id] = id.number
            entry.state = []
            let sequence = random.next()
            var words = [UInt64](repeating: 0, count: LedgerSlot.size / 8)
            words[0] = sequence
            for index in 0..<LedgerEntry.count { words[LedgerSlot.entry(sequence) / 8 + index] = entry[index] }
            words[LedgerSlot.entry(sequence) / 8 + LedgerEntry.count] = entry.sum(sequence)
            words.withUnsafeBytes { _ = pwrite(file.number, $0.baseAddress, $0.count, slot) }
            guard case .lost(_, nil) = try LedgerReader(file).finding(of: id) else {
                Issue.record("it is found")
                return
            }
        }
    }

    @Test func `times go on while nobody counts them`() throws {
        let survival = try Survival()
        let peer = survival.open()
        peer.say("later")
        survival.old.step()
        let before = try survival.record(peer)
        let due = try #require(before.handler?.timers.first?.dueIn)
        let file = FileDescriptor(adopting: fcntl(survival.old.ledger, F_DUPFD_CLOEXEC, 3))
        let later = survival.old.nanoseconds + 10_000_000
        guard case .goesOn(let record) = try LedgerReader(file).finding(of: peer.id, at: later) else {
            Issue.record("it does not go on")
            return
        }
        #expect(record.times.openedAgo == before.times.openedAgo + 10)
        #expect(record.times.lastMessageAgo == before.times.lastMessageAgo + 10)
        #expect(record.handler?.timers.first?.dueIn == due - 10_000_000)
    }
}
