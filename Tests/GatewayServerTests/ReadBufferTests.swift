import TestSupport
import Testing

@testable import GatewayServer

@Suite("A read buffer")
struct ReadBufferTests {
    @Test(arguments: [0, 1, 13, ReadBuffer.margin])
    func `puts the rest of the last read before the next one, in one run`(rest: Int) {
        let buffer = ReadBuffer()
        let front = buffer.front(40)
        for index in front.indices { front[index] = UInt8(100 + index) }
        let left = (0..<rest).map { UInt8(truncatingIfNeeded: $0) }
        let joined = left.withUnsafeBytes { buffer.join($0, with: 40) }
        #expect(Array(joined) == left + (0..<40).map { UInt8(100 + $0) })
        // What was read has not moved.
        #expect(UnsafeRawPointer(joined.baseAddress!) + rest == UnsafeRawPointer(front.baseAddress!))
    }

    @Test func `a read may fill it to its end`() {
        let buffer = ReadBuffer()
        let whole = buffer.front(ReadBuffer.readSize)
        whole[0] = 1
        whole[ReadBuffer.readSize - 1] = 2
        let left = [UInt8](repeating: 3, count: ReadBuffer.margin)
        let joined = left.withUnsafeBytes { buffer.join($0, with: ReadBuffer.readSize) }
        #expect(joined.count == ReadBuffer.margin + ReadBuffer.readSize)
        #expect(joined[0] == 3 && joined[ReadBuffer.margin - 1] == 3)
        #expect(joined[ReadBuffer.margin] == 1 && joined[joined.count - 1] == 2)
    }

    @Test(arguments: [1, ReadBuffer.margin - 1, ReadBuffer.margin, ReadBuffer.margin + 1, 2000])
    func `a frame that is cut there is read whole`(cut: Int) throws {
        let steps = try StepWorker()
        let peer = steps.open()
        _ = peer.frames()
        let payload = (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let bytes = ClientFrame(2, payload).bytes
        peer.say(Array(bytes.prefix(cut)))
        steps.step()
        #expect(peer.frames().isEmpty)
        peer.say(Array(bytes.dropFirst(cut)))
        steps.step()
        #expect(peer.frames().map(\.payload) == [payload])
    }
}
