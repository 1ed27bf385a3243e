import TestSupport
import Testing

@testable import GatewayServer

@Suite("What waits for a handler, as bytes")
struct QueuedInputTests {
    private static let samples = [
        QueuedInput(kind: .message, type: 1, flags: 3, receivedAt: .max, payload: Array("añ".utf8)),
        QueuedInput(kind: .message, type: 2, flags: 0x8000_0001, payload: []),
        QueuedInput(kind: .ping, payload: [1, 2, 3]), QueuedInput(kind: .pong, payload: []),
        QueuedInput(kind: .close, payload: [3, 232]), QueuedInput(kind: .part, payload: [9]),
    ]

    private func bytes(_ input: QueuedInput) -> [UInt8] {
        let (first, second) = input.words
        return [first, second].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
            + input.payload
    }

    @Test(arguments: samples) func `of a ledger`(_ input: QueuedInput) {
        let bytes = bytes(input)
        #expect(bytes.withUnsafeBytes { QueuedInput($0) } == input)
        for count in 0..<QueuedInput.header {
            #expect(bytes.prefix(count).withUnsafeBytes { QueuedInput($0) } == nil)
        }
    }

    @Test func `whatever they are`() {
        var random = SeededRandom(seed: 3)
        for _ in 0..<2000 {
            let bytes = random.bytes(Int.random(in: 0..<40, using: &random))
            guard let input = bytes.withUnsafeBytes({ QueuedInput($0) }) else { continue }
            #expect(input.payload.count == bytes.count - QueuedInput.header && (1...5).contains(bytes[0]))
        }
    }

    @Test func `of a record nobody takes what cannot have come`() throws {
        let wrong = [
            QueuedInput(kind: .message, type: 0), QueuedInput(kind: .message, type: 9), QueuedInput(kind: .part),
            QueuedInput(kind: .ping, payload: [UInt8](repeating: 0, count: 126)),
        ]
        for each in wrong {
            var record = RecordSamples.stateless()
            record.input.queued = [each]
            #expect(throws: RecordError.self) { try ConnectionRecord(record.bytes) }
        }
        var record = RecordSamples.stateless()
        record.input.queued = Self.samples.dropLast()
        #expect(try ConnectionRecord(record.bytes) == record)
        (record.phase, record.handler) = (.closing, nil)
        #expect(throws: RecordError.self) { try ConnectionRecord(record.bytes) }
    }

    @Test func `what ends a message, and what is called`() {
        #expect(Self.samples.map(\.endsMessage) == [true, true, false, false, false, false])
        #expect(Self.samples.map { $0.call == nil } == [false, false, false, false, true, true])
    }
}
