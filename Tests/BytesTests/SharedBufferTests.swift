import Bytes
import Synchronization
import TestSupport
import Testing

@Suite("Shared bytes are handed back once, by their last owner")
struct SharedBufferTests {
    @Test("a copy stands on its own", arguments: [0, 1, 7, 8, 1000, 100_000])
    func copy(_ count: Int) throws {
        var bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let shared = try #require(bytes.withUnsafeBytes { SharedBuffer.copy($0) })
        let expected = bytes
        for index in bytes.indices { bytes[index] = 0xFF }
        #expect(Array(shared.pointee.bytes) == expected)
        let held = shared.pointee.count
        #expect(held == count)
        let isBorrowed = shared.pointee.isBorrowed
        #expect(!isBorrowed)
        shared.pointee.retain()
        SharedBuffer.release(shared)
        #expect(Array(shared.pointee.bytes) == expected, "one of two owners is left")
        SharedBuffer.release(shared)
    }

    @Test("a copy of nothing at all")
    func copyNothing() throws {
        let shared = try #require(SharedBuffer.copy(UnsafeRawBufferPointer(start: nil, count: 0)))
        #expect(Array(shared.pointee.bytes).isEmpty)
        SharedBuffer.release(shared)
    }

    @Test("wrapped bytes stay where they are until the last owner lets go")
    func wrap() {
        let bytes = CountedBytes([1, 2, 3])
        #expect(Array(bytes.shared.pointee.bytes) == [1, 2, 3])
        #expect(bytes.kept == 1)
        for _ in 0..<5 { bytes.shared.pointee.retain() }
        for _ in 0..<5 { SharedBuffer.release(bytes.shared) }
        #expect(bytes.released == 0)
        #expect(bytes.kept == 1)
        SharedBuffer.release(bytes.shared)
        #expect(bytes.released == 1)
        #expect(bytes.kept == 0)
    }

    @Test("without a release function and a keeper nothing is told")
    func wrapStatic() throws {
        let bytes: StaticString = "static"
        let buffer = UnsafeRawBufferPointer(start: bytes.utf8Start, count: bytes.utf8CodeUnitCount)
        let shared = try #require(SharedBuffer.wrap(buffer, release: nil, context: nil, keeper: nil))
        let start = shared.pointee.start
        #expect(start == UnsafeRawPointer(buffer.baseAddress))
        SharedBuffer.release(shared)
    }

    @Test("threads that retain and release at once release once", arguments: 0..<20)
    func threads(_ round: Int) {
        let bytes = CountedBytes([1, 2, 3])
        for _ in 0..<8 { bytes.shared.pointee.retain() }
        SharedBuffer.release(bytes.shared)
        // An address crosses threads where a pointer does not.
        let address = UInt(bitPattern: bytes.shared)
        inThreads(8) { _ in
            guard let shared = UnsafeMutablePointer<SharedBuffer>(bitPattern: address) else { return }
            for _ in 0..<2000 {
                shared.pointee.retain()
                SharedBuffer.release(shared)
            }
            SharedBuffer.release(shared)
        }
        #expect(bytes.released == 1)
        #expect(bytes.kept == 0)
    }

    @Test("lent bytes change with every callback and are not counted")
    func lent() {
        let borrowedBuffer = SharedBuffer.borrowed()
        let isBorrowed = borrowedBuffer.pointee.isBorrowed
        #expect(isBorrowed)
        #expect(Array(borrowedBuffer.pointee.bytes).isEmpty)
        for count in [3, 0, 8] {
            let bytes = Array(repeating: UInt8(count), count: count)
            bytes.withUnsafeBytes { buffer in
                borrowedBuffer.pointee.borrow(buffer)
                #expect(Array(borrowedBuffer.pointee.bytes) == bytes)
            }
            // Whoever releases what is only lent does no harm.
            for _ in 0..<3 { SharedBuffer.release(borrowedBuffer) }
            let held = borrowedBuffer.pointee.count
            #expect(held == count)
        }
        borrowedBuffer.deinitialize(count: 1)
        borrowedBuffer.deallocate()
    }

    @Test(
        "two runs become one",
        arguments: [([], []), ([1, 2], []), ([], [3]), ([1, 2], [3, 4, 5])] as [([UInt8], [UInt8])])
    func join(_ first: [UInt8], _ second: [UInt8]) throws {
        let shared = try #require(
            first.withUnsafeBytes { first in second.withUnsafeBytes { SharedBuffer.join(first, $0) } })
        #expect(Array(shared.pointee.bytes) == first + second)
        SharedBuffer.release(shared)
    }

    @Test("a keeper knows how many bytes live")
    func weight() throws {
        let keeper = UnsafeMutablePointer<Atomic<Int>>.allocate(capacity: 1)
        keeper.initialize(to: Atomic(0))
        let bytes = [UInt8](repeating: 7, count: 100)
        let shared = try (0..<3).map { _ in
            try #require(bytes.withUnsafeBytes { SharedBuffer.copy($0, keeper: keeper) })
        }
        for (index, one) in shared.enumerated() {
            let kept = keeper.pointee.load(ordering: .relaxed)
            #expect(kept == (3 - index) * 100)
            SharedBuffer.release(one)
        }
        let left = keeper.pointee.load(ordering: .relaxed)
        #expect(left == 0)
        keeper.deinitialize(count: 1)
        keeper.deallocate()
    }
}
