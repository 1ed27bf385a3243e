import TestSupport
import Testing
import WebSocket

@testable import GatewayServer

@Suite("A connection without one of its messages")
struct ConnectionRecordSkippingTests {
    private static func text(_ text: String, isFinal: Bool = true) -> [UInt8] {
        ClientFrame(1, Array(text.utf8), isFinal: isFinal).bytes
    }

    private static func rest(_ text: String, isFinal: Bool = true) -> [UInt8] {
        ClientFrame(0, Array(text.utf8), isFinal: isFinal).bytes
    }

    private static func record(_ bytes: [UInt8]) -> ConnectionRecord {
        var record = RecordSamples.stateless()
        record.input.leftover = bytes
        return record
    }

    @Test func `whichever it is, of those that have come`() {
        let (ping, whole) = (ClientFrame(9, [1]).bytes, (1...3).map { Self.text("\($0)") })
        let halves = [Self.text("4", isFinal: false), ping, Self.rest("5", isFinal: false), Self.rest("6")]
        let record = Self.record(ping + whole[0] + whole[1] + halves.joined() + ping + whole[2] + [0x81])
        #expect(record.withoutMessage(0) == nil && record.withoutMessage(5) == nil)
        let expected: [[UInt8]] = [
            ping + whole[1] + halves.joined() + ping + whole[2] + [0x81],
            ping + whole[0] + halves.joined() + ping + whole[2] + [0x81],
            ping + whole[0] + whole[1] + ping + whole[2] + [0x81],
            ping + whole[0] + whole[1] + halves.joined() + ping + [0x81],
        ]
        for (index, bytes) in expected.enumerated() {
            #expect(record.withoutMessage(UInt64(index + 1))?.input.leftover == bytes, "without \(index + 1)")
        }
        #expect(Self.record([]).withoutMessage(1) == nil)
        #expect(Self.record([0xFF, 0xFF]).withoutMessage(1) == nil)
    }

    @Test func `the one that has come by half before`() throws {
        var record = Self.record([0x11, 0x22, 0x33] + Self.rest("b") + Self.text("c"))
        (record.input.frames.kind, record.input.frames.isFinal) = (.text, false)
        (record.input.frames.remaining, record.input.frames.messageLength) = (3, 8)
        record.input.message = Array("hello".utf8)
        let next = try #require(record.withoutMessage(1))
        #expect(next.input.leftover == Self.text("c") && next.input.message.isEmpty)
        #expect(next.input.frames == FrameReader.Snapshot())
        let later = try #require(record.withoutMessage(2))
        #expect(later.input.message == record.input.message && later.input.frames == record.input.frames)
        #expect(later.input.leftover == [0x11, 0x22, 0x33] + Self.rest("b"))
    }

    @Test func `those that have been read come before those that have not`() throws {
        func queued(_ text: String, _ kind: QueuedInput.Kind = .message) -> QueuedInput {
            QueuedInput(kind: kind, type: kind == .message ? 1 : 0, flags: 3, payload: Array(text.utf8))
        }
        var record = Self.record(Self.text("3") + Self.text("4"))
        record.input.queued = [queued("1"), queued("p", .ping), queued("2")]
        record.traffic.messagesIn = 9
        #expect(record.handledMessages == 7 && record.owesAnswer)
        #expect(record.withoutMessage(0) == nil && record.withoutMessage(5) == nil)
        let first = try #require(record.withoutMessage(1))
        #expect(first.input.queued == [queued("p", .ping), queued("2")])
        #expect(first.input.leftover == record.input.leftover)
        #expect(record.withoutMessage(2)?.input.queued == [queued("1"), queued("p", .ping)])
        let third = try #require(record.withoutMessage(3))
        #expect(third.input.queued == record.input.queued && third.input.leftover == Self.text("4"))
        // The handler has been given the front of it.
        record.input.queued[0].flags = 1
        #expect(record.withoutMessage(1) == nil)
    }
}
