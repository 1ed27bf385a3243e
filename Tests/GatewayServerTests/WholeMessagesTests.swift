import Bytes
import Testing

@testable import GatewayServer

@Suite("Whole messages in a queue")
struct WholeMessagesTests {
    private func find(_ bytes: [UInt8], from border: Int = 0, atLeast least: Int) -> WholeMessages {
        let pool = BlockPool()
        var queue = SendQueue()
        bytes.withUnsafeBytes { queue.append($0, pool: pool, size: .small) }
        let found = WholeMessages(in: queue, from: border, atLeast: least)
        queue.removeAll(pool: pool)
        return found
    }

    @Test func `are found as far as they are wanted, with lengths of every kind`() {
        let long = [0x82, 126, 1, 0] + [UInt8](repeating: 1, count: 256)
        let huge = [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0] + [UInt8](repeating: 1, count: 65536)
        let bytes = [0x81, 1, 65] + long + huge
        #expect(find(bytes, atLeast: 1).ranges == [0..<3])
        #expect(find(bytes, atLeast: 4).ranges == [0..<263])
        #expect(find(bytes, atLeast: 264).count == 3)
        #expect(find(bytes, atLeast: .max).bytes == bytes.count)
        #expect(find(bytes, from: 3, atLeast: 1).ranges == [3..<263])
        #expect(find(bytes, atLeast: 0).count == 0)
    }

    @Test func `fragments belong together; control frames, and a beginning or end alone, stay`() {
        let rest: [UInt8] = [0x00, 1, 1, 0x80, 1, 2]
        let whole: [UInt8] = [0x01, 1, 3, 0x89, 1, 4, 0x80, 1, 5]
        let open: [UInt8] = [0x02, 1, 6, 0x00, 1, 7]
        let found = find(rest + whole + open, atLeast: .max)
        #expect(found.count == 1 && found.ranges == [6..<9, 12..<15] && found.bytes == 6)
        // A frame that is not all there yet.
        #expect(find([0x82, 3, 1, 2], atLeast: .max).count == 0)
        #expect(find([0x82, 126, 0], atLeast: .max).count == 0)
    }
}
