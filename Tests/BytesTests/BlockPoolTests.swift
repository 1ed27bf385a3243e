import AllocationCounter
import Bytes
import Testing

@Suite("A block pool keeps what comes back, up to a limit")
struct BlockPoolTests {
    @Test("a block is empty and has the room of its size", arguments: [BlockPool.Size.small, .large])
    func take(_ size: BlockPool.Size) {
        let pool = BlockPool()
        for _ in 0..<3 {
            let block = pool.take(size)
            #expect(block.pointee.next == nil)
            #expect(block.pointee.shared == nil)
            #expect((block.pointee.start, block.pointee.end) == (0, 0))
            let capacity = block.pointee.capacity
            #expect(capacity == size.rawValue - MemoryLayout<BlockPool.Block>.stride)
            // All of it can be written: an address sanitizer would object.
            block.pointee.base.initializeMemory(as: UInt8.self, repeating: 0xEE, count: capacity)
            block.pointee.end = capacity
            pool.give(back: block)
        }
    }

    @Test("two blocks are two blocks; one that came back is used again")
    func reuse() {
        let pool = BlockPool()
        let (first, second, large) = (pool.take(.small), pool.take(.small), pool.take(.large))
        #expect(Set([first, second, large]).count == 3)
        pool.give(back: first)
        let again = pool.take(.small)
        #expect(again == first)
        for block in [again, second, large] { pool.give(back: block) }
    }

    @Test("a reference takes one ownership over and lets go of it once")
    func reference() throws {
        let pool = BlockPool()
        let bytes = CountedBytes([1, 2, 3, 4])
        bytes.shared.pointee.retain()
        let referred = pool.refer(to: bytes.shared, from: 1)
        let block = try #require(referred)
        #expect(block.pointee.capacity == 0)
        #expect((block.pointee.start, block.pointee.end) == (1, 4))
        #expect(UnsafeRawPointer(block.pointee.base) == bytes.shared.pointee.start)
        pool.give(back: block)
        #expect(bytes.released == 0)
        SharedBuffer.release(bytes.shared)
        #expect(bytes.released == 1)
    }

    @Test("bytes that are nowhere cannot be referred to")
    func noReference() throws {
        let pool = BlockPool()
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        let shared = try #require(SharedBuffer.wrap(nothing, release: nil, context: nil, keeper: nil))
        let isNil = pool.refer(to: shared, from: 0) == nil
        #expect(isNil)
        SharedBuffer.release(shared)
    }

    struct Shelf {
        let size: BlockPool.Size
        let limit: Int
    }

    @Test(
        "more than its limit goes back to the heap",
        .enabled(if: allocation_counter_works()),
        arguments: [Shelf(size: .small, limit: 1024), Shelf(size: .large, limit: 32)])
    func limit(_ largeBuffers: Shelf) {
        let pool = BlockPool()
        var blocks: [UnsafeMutablePointer<BlockPool.Block>] = []
        blocks.reserveCapacity(largeBuffers.limit + 10)
        var before = allocation_count()
        for _ in 0..<largeBuffers.limit + 10 { blocks.append(pool.take(largeBuffers.size)) }
        #expect(allocation_count() - before == Int64(largeBuffers.limit + 10))
        // The runtime makes the type of an iterator when it is asked for it first.
        for block in blocks { #expect(block.pointee.end == 0) }
        before = release_count() - allocation_count()
        for block in blocks { pool.give(back: block) }
        // What iterating an array takes and gives back in a debug build cancels out.
        let returned = release_count() - allocation_count() - before
        #expect(returned == 10)
        blocks.removeAll(keepingCapacity: true)
        before = allocation_count()
        for _ in 0..<largeBuffers.limit + 1 { blocks.append(pool.take(largeBuffers.size)) }
        let cut = allocation_count() - before
        #expect(cut == 1)
        for block in blocks { pool.give(back: block) }
    }

    @Test("a pool that goes takes its blocks with it", .enabled(if: allocation_counter_works()))
    func goes() {
        let before = (allocation_count(), release_count())
        do {
            let pool = BlockPool()
            let blocks = (pool.take(.small), pool.take(.large))
            pool.give(back: blocks.0)
            pool.give(back: blocks.1)
        }
        #expect(allocation_count() - before.0 == release_count() - before.1)
    }
}
