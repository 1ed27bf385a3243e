import Bytes
import GatewayIO
import TestSupport
import Testing
import WebSocket

@testable import GatewayServer

/// An outbox with its pool, and a stream it writes to.
private final class Filled {
    let pool = BlockPool()
    var outbox = Outbox()
    let stream: MemoryStream
    let transport: Transport

    init(window: Int = .max) {
        stream = MemoryStream(window: window)
        transport = Transport(stream: stream)
    }

    /// Queues a frame of so many bytes of payload.
    func queue(_ payload: [UInt8], _ opcode: Opcode = .binary, isFinal: Bool = true) {
        let header = FrameWriter(opcode, isFinal: isFinal, payloadLength: payload.count)
        payload.withUnsafeBytes { outbox.append(header, $0, pool: pool, size: .small) }
        _ = outbox.note(opcode, isFinal: isFinal)
    }

    /// Writes, and answers with what came of it and how much was told to be taken.
    func write() -> (Outbox.Written, Int) {
        var taken = 0
        let written = outbox.write(to: transport, pool: pool) { count, _ in taken += count }
        return (written, taken)
    }

    var count: Int { outbox.count }
    var isEmpty: Bool { outbox.isEmpty }
    var isBlocked: Bool { outbox.isBlocked }
    var isClear: Bool { outbox.isClear }
    var isStreaming: Bool { outbox.isStreaming }
    func answer(atMost most: Int) -> Outbox.Answer { outbox.answer(atMost: most) }

    func finish() { outbox.removeAll(pool: pool) }
}

@Suite("An outbox")
struct OutboxTests {
    @Test func `writes frames in their order`() {
        let filled = Filled()
        filled.queue([1, 2, 3])
        filled.queue([], .ping)
        let (written, taken) = filled.write()
        #expect((written, taken) == (.all, 7))
        #expect(filled.stream.output == [0x82, 3, 1, 2, 3, 0x89, 0])
        #expect(filled.isEmpty)
    }

    @Test(arguments: [1, 4, 5, 6, 99, 4096])
    func `goes on where the transport stopped`(window: Int) {
        let filled = Filled(window: window)
        let payload = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
        filled.queue(payload)
        let (written, taken) = filled.write()
        #expect((written, taken) == (.blocked, window))
        #expect(filled.isBlocked)
        #expect(filled.count == 5004 - window)
        filled.stream.window = .max
        filled.outbox.isBlocked = false
        let rest = filled.write()
        #expect(rest == (.all, 5004 - window))
        #expect(filled.stream.output == [0x82, 126, 0x13, 0x88] + payload)
    }

    @Test func `a large payload is written behind what is queued, and its rest is kept`() {
        let filled = Filled(window: 10_000)
        filled.queue([7])
        let payload = [UInt8](repeating: 9, count: 70_000)
        let header = FrameWriter(.binary, isFinal: true, payloadLength: payload.count)
        var taken = 0
        payload.withUnsafeBytes {
            filled.outbox.writeThrough(header, $0, to: filled.transport, pool: filled.pool) { taken += $0 }
        }
        #expect(taken == 10_000)
        #expect(filled.isBlocked)
        #expect(filled.count == 3 + 10 + 70_000 - 10_000)
        filled.stream.window = .max
        #expect(filled.write().0 == .all)
        #expect(filled.stream.output == [0x82, 1, 7, 0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70] + payload)
    }

    @Test func `below the mark one message of any size is admitted, above it what fits`() {
        #expect(Outbox.admits(1 << 40, behind: 500, atMost: 1000))
        #expect(!Outbox.admits(500, behind: 501, atMost: 1000))
        #expect(Outbox.admits(499, behind: 501, atMost: 1000))
        #expect(Outbox.admits(0, behind: 1000, atMost: 1000))
        #expect(!Outbox.admits(1, behind: 1000, atMost: 1000))
        #expect(Outbox.admits(1, behind: 0, atMost: 0))
    }

    @Test func `its sender hears of backpressure above the mark`() {
        let filled = Filled()
        filled.queue([UInt8](repeating: 0, count: 98))
        #expect(filled.answer(atMost: 200) == .taken)
        filled.queue([])
        #expect(filled.answer(atMost: 200) == .backpressure)
        filled.finish()
    }

    @Test func `a fragmented message is open from its first fragment to its last`() {
        let filled = Filled()
        #expect(filled.isClear)
        filled.queue([1], .text, isFinal: false)
        #expect(filled.isStreaming && !filled.isClear)
        filled.queue([], .ping)
        filled.queue([2], .continuation, isFinal: false)
        #expect(filled.isStreaming)
        let hasEnded = filled.outbox.note(.continuation, isFinal: true)
        #expect(hasEnded && filled.isClear)
        filled.finish()
    }

    @Test func `what waited for the end of a fragmented message follows it`() {
        let filled = Filled()
        var held = SendQueue()
        [UInt8]([0x82, 1, 5]).withUnsafeBytes { held.append($0, pool: filled.pool, size: .small) }
        filled.queue([1], .continuation)
        filled.outbox.append(held: &held)
        let isTaken = held.isEmpty
        #expect(isTaken)
        _ = filled.write()
        #expect(filled.stream.output == [0x80, 1, 1, 0x82, 1, 5])
    }

    @Test func `an error of the transport is the caller's`() {
        let filled = Filled()
        filled.queue([1])
        filled.stream.breakage = Errno(104)
        let (written, taken) = filled.write()
        #expect((written, taken) == (.failed(Errno(104)), 0))
        #expect(!filled.isBlocked)
        filled.finish()
    }
}
