import Bytes
import Testing

@testable import GatewayHTTP2

struct SpareBufferTests {
    private func fill(_ buffer: inout ByteBuffer, _ count: Int) {
        let bytes = [UInt8](repeating: 7, count: count)
        unsafe bytes.withUnsafeBytes { unsafe buffer.append($0) }
    }

    @Test func `memory goes from one to the next`() {
        let spare = SpareBuffer()
        var first = ByteBuffer()
        var second = ByteBuffer()
        spare.lend(to: &first)
        fill(&first, 20_000)
        spare.takeBack(&first)
        #expect(first.capacity == 0 && first.isEmpty)
        spare.lend(to: &second)
        #expect(second.capacity >= 20_000 && second.isEmpty)
    }

    @Test func `what is in use is not replaced, and little is kept`() {
        let spare = SpareBuffer()
        var large = ByteBuffer()
        var small = ByteBuffer()
        fill(&large, 20_000)
        spare.takeBack(&large)
        fill(&small, 10)
        spare.lend(to: &small)
        #expect(small.count == 10 && small.capacity < 20_000)
        spare.takeBack(&small)
        #expect(small.capacity > 0 && small.isEmpty)
    }

    @Test func `more than a turn needs is given back`() {
        let spare = SpareBuffer()
        var huge = ByteBuffer()
        var next = ByteBuffer()
        fill(&huge, 1 << 20)
        spare.takeBack(&huge)
        spare.lend(to: &next)
        #expect(next.capacity == 0)
    }
}
