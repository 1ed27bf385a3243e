import Bytes
import TestSupport
import Testing

@Suite("Cutting bytes out of a send queue")
struct SendQueueCuttingTests {
    /// Everything in a queue, in order.
    private func bytes(_ queue: borrowing SendQueue) -> [UInt8] {
        var cursor = queue.cursor
        var bytes: [UInt8] = []
        while let byte = cursor.next() { bytes.append(byte) }
        #expect(cursor.position == queue.count && bytes.count == queue.count)
        return bytes
    }

    @Test("any part of copies and references, cut again and again, leaves the rest as it was")
    func anyPart() {
        var random = SeededRandom(seed: 11)
        for _ in 0..<200 {
            let pool = BlockPool()
            var queue = SendQueue()
            var expected: [UInt8] = []
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let run = random.bytes(Int.random(in: 1...3000, using: &random))
                expected += run
                if Int.random(in: 0...1, using: &random) == 0 {
                    run.withUnsafeBytes { queue.append($0, pool: pool, size: .small) }
                } else if let shared = run.withUnsafeBytes({ SharedBuffer.copy($0) }) {
                    queue.append(shared: shared, from: 0, pool: pool)
                }
            }
            // A part of it is on its way.
            let sent = Int.random(in: 0...expected.count / 2, using: &random)
            queue.removeFirst(sent, pool: pool)
            expected.removeFirst(sent)
            while !expected.isEmpty {
                let start = Int.random(in: 0...expected.count - 1, using: &random)
                let end = Int.random(in: start...expected.count, using: &random)
                queue.remove(start..<end, pool: pool)
                expected.removeSubrange(start..<end)
                let left = bytes(queue)
                #expect(left == expected)
                if Int.random(in: 0...2, using: &random) == 0 {
                    let more = random.bytes(100)
                    more.withUnsafeBytes { queue.append($0, pool: pool, size: .small) }
                    expected += more
                    queue.remove(0..<min(200, expected.count), pool: pool)
                    expected.removeFirst(min(200, expected.count))
                }
            }
            queue.removeAll(pool: pool)
        }
    }

    @Test("a cursor skips what there is, and says when there is no more")
    func skipping() {
        let pool = BlockPool()
        var queue = SendQueue()
        for start in [0, 100] {
            (0..<100).map { UInt8(start + $0) }.withUnsafeBytes { bytes in
                guard let shared = SharedBuffer.copy(bytes) else { return }
                queue.append(shared: shared, from: 0, pool: pool)
            }
        }
        var cursor = queue.cursor
        let skipped = [cursor.skip(100), cursor.skip(0)]
        let bytes = [cursor.next(), cursor.skip(98) ? cursor.next() : 0, cursor.next()]
        #expect(skipped == [true, true] && bytes == [100, 199, nil])
        var other = queue.cursor
        let end = [other.skip(200), other.next() == nil, other.skip(1)]
        #expect(end == [true, true, false])
        queue.removeAll(pool: pool)
    }
}
