import Bytes
import Testing

@Suite("A shelf keeps a few large buffers")
struct BufferShelfTests {
    private func buffer(_ capacity: Int) -> OctetBuffer {
        var buffer = OctetBuffer()
        buffer.reserve(capacity)
        [1, 2, 3].withUnsafeBytes { buffer.append(UnsafeRawBufferPointer(rebasing: $0[..<3])) }
        return buffer
    }

    @Test("what is put away comes back, empty")
    func back() {
        var shelf = BufferShelf()
        shelf.put(away: buffer(100_000))
        #expect(shelf.count == 1)
        let again = shelf.take()
        let (capacity, count) = (again.capacity, again.count)
        #expect(capacity == 100_000)
        #expect(count == 0)
        let none = shelf.take().capacity
        #expect(none == 0)
        #expect(shelf.octets == 0)
    }

    @Test(
        "by size", arguments: [(64 * 1024 - 1, false), (64 * 1024, true), (4 << 20, true), ((4 << 20) + 1, false)])
    func size(_ capacity: Int, isKept: Bool) {
        var shelf = BufferShelf()
        shelf.put(away: buffer(capacity))
        #expect(shelf.count == (isKept ? 1 : 0))
    }

    @Test(
        "no more than it has places for, and no more octets", arguments: [(64 * 1024, 8), (2 << 20, 4), (3 << 20, 2)])
    func limits(_ capacity: Int, most: Int) {
        var shelf = BufferShelf()
        for _ in 0..<20 { shelf.put(away: buffer(capacity)) }
        #expect(shelf.count == most)
        #expect(shelf.octets == most * capacity)
        for _ in 0..<most { _ = shelf.take() }
        #expect(shelf.count == 0)
    }
}
