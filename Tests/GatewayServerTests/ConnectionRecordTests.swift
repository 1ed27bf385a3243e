import GatewayIO
import TestSupport
import Testing
import WebSocket

@testable import GatewayServer

@Suite("A connection is a value")
struct ConnectionRecordTests {
    /// Nothing in it is as in a value that nobody has changed.
    static let full = RecordSamples.open()

    @Test("what was written is read", arguments: RecordSamples.all)
    func samples(record: ConnectionRecord) throws {
        #expect(try ConnectionRecord(record.bytes) == record)
    }

    @Test func `each field counts: what is not written is not read`() throws {
        let bytes = Self.full.bytes
        // Of each field of each part, one is left out at a time.
        for (offset, length) in try RecordSamples.fields(of: bytes) {
            var less = bytes
            less.removeSubrange(offset..<offset + length)
            guard let less = RecordSamples.mended(less, without: offset..<offset + length, of: bytes) else { continue }
            if let record = try? ConnectionRecord(less) { #expect(record != Self.full, "the field at \(offset)") }
        }
    }

    @Test func `an empty record is a connection that nobody has: it has no number`() {
        #expect(throws: RecordError(reason: .isContradiction("it has not the number of a connection"), offset: 4)) {
            try ConnectionRecord([1, 0, 1, 0])
        }
    }

    @Test func `an older writer knows less, and all else is as ever`() throws {
        enum Tag: UInt16, RecordTag {
            case id = 1
            case peer = 3
        }
        var writer = RecordWriter(version: 1, least: 1)
        writer.write(Tag.id, 7 as UInt64)
        var expected = ConnectionRecord()
        expected.id = 7
        #expect(try ConnectionRecord(writer.bytes) == expected)
    }

    @Test func `a newer writer knows more, which is let be`() throws {
        enum Tag: UInt16, RecordTag { case unheardOf = 4711 }
        let bytes = Self.full.bytes
        var more = RecordWriter(version: 9, least: 1)
        more.write(Tag.unheardOf, "what will be")
        let newer = more.bytes + bytes[4...] + more.bytes[4...]
        #expect(try ConnectionRecord(newer) == Self.full)
        #expect(throws: RecordError(reason: .isTooNew(least: 3), offset: 2)) {
            try ConnectionRecord([9, 0, 3, 0] + bytes[4...])
        }
    }

    @Test func `programs that would lose what waits for a handler take no such record`() {
        var record = Self.full
        record.input.queued = []
        #expect(Self.full.bytes[2] == 2 && record.bytes[2] == 1)
    }

    @Test("parts that do not go together", arguments: RecordSamples.wrong)
    func contradictions(wrong: RecordSamples.Wrong) {
        #expect {
            try ConnectionRecord(wrong.record.bytes)
        } throws: { error in
            "\(error)".hasSuffix(wrong.sentence)
        }
    }

    @Test func `each truncation is an error or a value, and never a trap`() {
        for record in RecordSamples.all {
            let bytes = record.bytes
            for count in 0..<bytes.count { _ = try? ConnectionRecord(Array(bytes[..<count])) }
        }
    }

    @Test func `each byte, changed in any way, gives an error or a value that can be written and read`() throws {
        for record in RecordSamples.all {
            var bytes = record.bytes
            for index in bytes.indices {
                let right = bytes[index]
                for wrong in [right ^ 0xFF, right &+ 1, right &- 1, 0, 0x7F, 0x80, 0xFF] {
                    bytes[index] = wrong
                    if let other = try? ConnectionRecord(bytes) {
                        #expect(try ConnectionRecord(other.bytes) == other, "byte \(index) is \(wrong)")
                    }
                }
                bytes[index] = right
            }
        }
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `several at once`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var bytes = Self.full.bytes
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: index)
            default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
            }
        }
        if let other = try? ConnectionRecord(bytes) { #expect(try ConnectionRecord(other.bytes) == other) }
    }

    @Test func `more topics and timers than anybody has are refused before they take memory`() throws {
        var record = Self.full
        record.handler?.topics = (0...Topic.maximumPerConnection).map {
            TopicRecord(TopicKey(scope: "", name: Array("\($0)".utf8)))
        }
        #expect(throws: RecordError.self) { try ConnectionRecord(record.bytes) }
        record.handler?.topics.removeLast()
        #expect(try ConnectionRecord(record.bytes) == record)
        record.handler?.timers = (0...TimerRegistry.maximumPerOwner).map { number in
            var timer = TimerRecord()
            timer.number = UInt64(number)
            return timer
        }
        #expect(throws: RecordError.self) { try ConnectionRecord(record.bytes) }
    }
}
