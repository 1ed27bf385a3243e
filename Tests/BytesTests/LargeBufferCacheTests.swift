import Bytes
import Testing

@Suite("A largeBuffers keeps a few large buffers")
struct LargeBufferCacheTests {
    private func buffer(_ capacity: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserve(capacity)
        [1, 2, 3].withUnsafeBytes { buffer.append(UnsafeRawBufferPointer(rebasing: $0[..<3])) }
        return buffer
    }

    @Test("what is put away comes back, empty")
    func back() {
        var largeBuffers = LargeBufferCache()
        largeBuffers.put(away: buffer(100_000))
        #expect(largeBuffers.count == 1)
        let again = largeBuffers.take()
        let (capacity, count) = (again.capacity, again.count)
        #expect(capacity == 100_000)
        #expect(count == 0)
        let none = largeBuffers.take().capacity
        #expect(none == 0)
        #expect(largeBuffers.bytes == 0)
    }

    @Test(
        "by size", arguments: [(64 * 1024 - 1, false), (64 * 1024, true), (4 << 20, true), ((4 << 20) + 1, false)])
    func size(_ capacity: Int, isKept: Bool) {
        var largeBuffers = LargeBufferCache()
        largeBuffers.put(away: buffer(capacity))
        #expect(largeBuffers.count == (isKept ? 1 : 0))
    }

    @Test(
        "no more than it has places for, and no more bytes", arguments: [(64 * 1024, 8), (2 << 20, 4), (3 << 20, 2)])
    func limits(_ capacity: Int, most: Int) {
        var largeBuffers = LargeBufferCache()
        for _ in 0..<20 { largeBuffers.put(away: buffer(capacity)) }
        #expect(largeBuffers.count == most)
        #expect(largeBuffers.bytes == most * capacity)
        for _ in 0..<most { _ = largeBuffers.take() }
        #expect(largeBuffers.count == 0)
    }
}
