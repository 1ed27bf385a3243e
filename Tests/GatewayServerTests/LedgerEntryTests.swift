import GatewayIO
import Testing

@testable import GatewayServer

@Suite("The entry of a connection in the ledger")
struct LedgerEntryTests {
    private static func entry() -> LedgerEntry {
        var entry = LedgerEntry()
        for index in 0..<LedgerEntry.count { entry[index] = UInt64(index) &* 0x1234_5678_9ABC }
        return entry
    }

    /// The words of a slot in which an entry holds.
    private static func words(_ entry: LedgerEntry, _ sequence: UInt64) -> [UInt64] {
        var words = [UInt64](repeating: 0xAAAA, count: LedgerSlot.size / 8)
        words[0] = sequence
        for index in 0..<LedgerEntry.count { words[LedgerSlot.entry(sequence) / 8 + index] = entry[index] }
        words[LedgerSlot.entry(sequence) / 8 + LedgerEntry.count] = entry.sum(sequence)
        return words
    }

    @Test func `is read as it was written, of whichever half`() {
        for sequence: UInt64 in [1, 2, 3, 0x1_0000_0000] {
            #expect(LedgerSlot.read(Self.words(Self.entry(), sequence)) == Self.entry())
        }
        #expect(LedgerSlot.entry(0) + (LedgerEntry.count + 1) * 8 == LedgerSlot.entry(1))
        #expect(LedgerSlot.entry(1) + (LedgerEntry.count + 1) * 8 <= LedgerSlot.size)
        #expect(LedgerEntry.count == LedgerEntry.Word.allCases.count)
    }

    @Test func `with any bit changed is none`() {
        for sequence: UInt64 in [4, 5] {
            let words = Self.words(Self.entry(), sequence)
            let first = LedgerSlot.entry(sequence) / 8
            for index in [0] + Array(first...first + LedgerEntry.count) {
                for bit in 0..<64 {
                    var changed = words
                    changed[index] ^= 1 << bit
                    #expect(LedgerSlot.read(changed) == nil)
                }
            }
        }
        #expect(LedgerSlot.read([UInt64](repeating: 0, count: LedgerSlot.size / 8)) == nil)
    }

    @Test func `its parts share words`() {
        var entry = LedgerEntry()
        (entry.messageLength, entry.outputLength) = (0xFFFF_FFFF, 7)
        entry.messageLength = 5
        #expect(entry.messageLength == 5 && entry.outputLength == 7)
        entry[.moment] = 0xFFFF_FFFF
        entry.state = [.isInside, .owesDrained]
        #expect(entry.lastMessage == .max && entry.state == [.isInside, .owesDrained] && entry.state.obstacle == nil)
        for obstacle in LedgerObstacle.allCases {
            entry.state = LedgerState(obstacle).union(.isInside)
            #expect(entry.state.obstacle == obstacle && entry.state.contains(.isInside))
            #expect(!obstacle.sentence.isEmpty)
        }
        #expect(LedgerState(nil) == [])
    }

    @Test func `lies where no other one does`() throws {
        let layout = LedgerLayout(workers: 3, capacity: 100)
        var ranges = [0..<LedgerLayout.page]
        for worker in 0..<3 {
            ranges.append(layout.reading(worker)..<layout.inputBytes(worker) + LedgerLayout.inputRoom)
        }
        for worker in 0..<3 {
            for slot in 0..<100 {
                let id = ConnectionID(worker: UInt8(worker), slot: UInt32(slot), serial: 1)
                let place = try #require(layout.slot(of: id))
                ranges.append(place..<place + LedgerSlot.size)
            }
        }
        for worker in 0..<3 { ranges.append(layout.arena(worker)) }
        for (one, next) in zip(ranges, ranges.dropFirst()) { #expect(one.upperBound <= next.lowerBound) }
        #expect(ranges.last?.upperBound == layout.size)
        #expect(layout.slot(of: ConnectionID(worker: 0, slot: 100, serial: 1)) == nil)
        #expect(layout.slot(of: ConnectionID(worker: 3, slot: 0, serial: 1)) == nil)
    }

    @Test func `a file is a ledger by its size and its header, or none`() throws {
        let layout = LedgerLayout(workers: 2, capacity: 50)
        let size = layout.size
        #expect(LedgerLayout(mark: LedgerLayout.mark, workers: 2, capacity: 50, size: size) == layout)
        let wrong: [(UInt64, UInt64, UInt64, Int)] = [
            (1, 2, 50, size), (LedgerLayout.mark, 1, 50, size), (LedgerLayout.mark, 0, 50, size),
            (LedgerLayout.mark, .max, 50, size), (LedgerLayout.mark, 2, .max, size), (LedgerLayout.mark, 2, 50, 0),
        ]
        for (mark, workers, capacity, size) in wrong {
            #expect(LedgerLayout(mark: mark, workers: workers, capacity: capacity, size: size) == nil)
        }
        // The largest that there may be.
        #expect(LedgerLayout(workers: ConnectionID.maximumWorkers, capacity: ConnectionID.maximumSlots).size > 0)
        #expect(throws: Errno(22)) { try Ledger(adopting: MemoryFile.make("none", [1, 2, 3])) }
        #expect(throws: Errno.self) { try LedgerReader(FileDescriptor(adopting: -1)) }
        let ledger = try Ledger(adopting: Ledger.makeFile(workers: 2, capacity: 50))
        #expect(ledger.layout == layout && ledger.page(of: 1) != nil && ledger.page(of: 2) == nil)
    }

    @Test func `a blob tells whether it is whole, and whose it is`() {
        for count in [0, 1, 7, 8, 31, 32, 33, 100] {
            let bytes = (0..<count).map { UInt8($0) }
            let sum = bytes.withUnsafeBytes { LedgerBlob.sum($0, of: 5) }
            #expect(bytes.withUnsafeBytes { LedgerBlob.sum($0, of: 6) } != sum)
            for index in bytes.indices {
                var changed = bytes
                changed[index] ^= 0x10
                #expect(changed.withUnsafeBytes { LedgerBlob.sum($0, of: 5) } != sum)
            }
            #expect((bytes + [0]).withUnsafeBytes { LedgerBlob.sum($0, of: 5) } != sum)
            let blob = [sum, UInt64(count)].flatMap { word in
                (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
            }
            let padded = blob + bytes + [UInt8](repeating: 0, count: LedgerBlob.size(count) - 16 - count)
            #expect(padded.withUnsafeBytes { LedgerBlob.first(in: $0, of: 5).map { Array($0) } } == bytes)
            #expect(padded.dropLast().withUnsafeBytes { LedgerBlob.first(in: $0, of: 5) } == nil)
        }
    }
}
