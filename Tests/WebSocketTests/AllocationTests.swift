import AllocationCounter
import Bytes
import TestSupport
import Testing
import WebSocket

@Suite("A message costs no allocation", .enabled(if: allocation_counter_works()))
struct AllocationTests {
    @Test("the counter counts")
    func counter() {
        let before = allocation_count()
        for count in 1...10 { _ = [UInt8](repeating: 1, count: count * 64).withUnsafeBytes { $0.baseAddress } }
        #expect(allocation_count() - before >= 10)
    }

    /// Reads one message, checks it, and queues it for sending back, then sends it.
    private func echo(
        _ buffer: UnsafeMutableRawBufferPointer, _ reader: inout FrameReader, _ queue: inout SendQueue,
        _ pool: borrowing BlockPool
    ) -> Int {
        var position = 0
        var pieces = 0
        var checker = UTF8Checker()
        let limits = FrameReader.Limits(frame: 1 << 20, message: 1 << 20)
        reading: while true {
            switch reader.next(in: buffer, from: &position, limits: limits) {
            case .needMore, .violation: break reading
            case .control(_, let start, let count):
                let body = UnsafeRawBufferPointer(rebasing: buffer[start..<start + count])
                let header = FrameWriter(.pong, isFinal: true, payloadLength: count)
                queue.append(header: header.low, header.high, count: header.count, pool: pool, size: .small)
                queue.append(body, pool: pool, size: .small)
            case .piece(let piece):
                let bytes = UnsafeRawBufferPointer(rebasing: buffer[piece.start..<piece.start + piece.count])
                guard checker.accept(bytes) else { return -1 }
                let header = FrameWriter(piece.kind, isFinal: piece.isLast, payloadLength: piece.count)
                queue.append(header: header.low, header.high, count: header.count, pool: pool, size: .large)
                queue.append(bytes, pool: pool, size: .large)
                pieces += 1
            }
        }
        queue.removeFirst(queue.count / 2, pool: pool)
        queue.removeFirst(queue.count, pool: pool)
        return pieces
    }

    @Test("1,000 messages read, unmasked, checked, queued and sent", arguments: [5, 125, 126, 4000, 100_000])
    func messages(_ length: Int) {
        let payload = Array(String(repeating: "größe ", count: length / 8 + 1).utf8)
        let bytes =
            ClientFrame(9, [1, 2, 3]).bytes + ClientFrame(1, payload, isFinal: false).bytes
            + ClientFrame(0, payload).bytes
        let pool = BlockPool()
        var queue = SendQueue()
        var reader = FrameReader()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        defer { buffer.deallocate() }
        var allocations: Int64 = 0
        var pieces = 0
        for round in 0...1000 {
            buffer.copyBytes(from: bytes)
            let before = allocation_count()
            pieces += echo(buffer, &reader, &queue, pool)
            // The first round warms the pool up.
            if round > 0 { allocations += allocation_count() - before }
        }
        #expect(pieces == 2002)
        #expect(allocations == 0)
    }
}
