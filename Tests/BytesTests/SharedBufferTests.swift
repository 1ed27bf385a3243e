import Bytes
import Synchronization
import TestSupport
import Testing

@Suite("Shared octets are handed back once, by their last owner")
struct SharedBufferTests {
    @Test("a copy stands on its own", arguments: [0, 1, 7, 8, 1000, 100_000])
    func copy(_ count: Int) throws {
        var octets = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let shared = try #require(octets.withUnsafeBytes { SharedBuffer.copy($0) })
        let expected = octets
        for index in octets.indices { octets[index] = 0xFF }
        #expect(Array(shared.pointee.octets) == expected)
        let held = shared.pointee.count
        #expect(held == count)
        let isBorrowed = shared.pointee.isBorrowed
        #expect(!isBorrowed)
        shared.pointee.retain()
        SharedBuffer.release(shared)
        #expect(Array(shared.pointee.octets) == expected, "one of two owners is left")
        SharedBuffer.release(shared)
    }

    @Test("a copy of nothing at all")
    func copyNothing() throws {
        let shared = try #require(SharedBuffer.copy(UnsafeRawBufferPointer(start: nil, count: 0)))
        #expect(Array(shared.pointee.octets).isEmpty)
        SharedBuffer.release(shared)
    }

    @Test("wrapped octets stay where they are until the last owner lets go")
    func wrap() {
        let octets = CountedOctets([1, 2, 3])
        #expect(Array(octets.shared.pointee.octets) == [1, 2, 3])
        #expect(octets.kept == 1)
        for _ in 0..<5 { octets.shared.pointee.retain() }
        for _ in 0..<5 { SharedBuffer.release(octets.shared) }
        #expect(octets.released == 0)
        #expect(octets.kept == 1)
        SharedBuffer.release(octets.shared)
        #expect(octets.released == 1)
        #expect(octets.kept == 0)
    }

    @Test("without a release function and a keeper nothing is told")
    func wrapStatic() throws {
        let octets: StaticString = "static"
        let buffer = UnsafeRawBufferPointer(start: octets.utf8Start, count: octets.utf8CodeUnitCount)
        let shared = try #require(SharedBuffer.wrap(buffer, release: nil, context: nil, keeper: nil))
        let start = shared.pointee.start
        #expect(start == UnsafeRawPointer(buffer.baseAddress))
        SharedBuffer.release(shared)
    }

    @Test("threads that retain and release at once release once", arguments: 0..<20)
    func threads(_ round: Int) {
        let octets = CountedOctets([1, 2, 3])
        for _ in 0..<8 { octets.shared.pointee.retain() }
        SharedBuffer.release(octets.shared)
        // An address crosses threads where a pointer does not.
        let address = UInt(bitPattern: octets.shared)
        inThreads(8) { _ in
            guard let shared = UnsafeMutablePointer<SharedBuffer>(bitPattern: address) else { return }
            for _ in 0..<2000 {
                shared.pointee.retain()
                SharedBuffer.release(shared)
            }
            SharedBuffer.release(shared)
        }
        #expect(octets.released == 1)
        #expect(octets.kept == 0)
    }

    @Test("lent octets change with every callback and are not counted")
    func lent() {
        let borrowedBuffer = SharedBuffer.borrowed()
        let isBorrowed = borrowedBuffer.pointee.isBorrowed
        #expect(isBorrowed)
        #expect(Array(borrowedBuffer.pointee.octets).isEmpty)
        for count in [3, 0, 8] {
            let octets = Array(repeating: UInt8(count), count: count)
            octets.withUnsafeBytes { buffer in
                borrowedBuffer.pointee.borrow(buffer)
                #expect(Array(borrowedBuffer.pointee.octets) == octets)
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
        #expect(Array(shared.pointee.octets) == first + second)
        SharedBuffer.release(shared)
    }

    @Test("a keeper knows how many octets live")
    func weight() throws {
        let keeper = UnsafeMutablePointer<Atomic<Int>>.allocate(capacity: 1)
        keeper.initialize(to: Atomic(0))
        let octets = [UInt8](repeating: 7, count: 100)
        let shared = try (0..<3).map { _ in
            try #require(octets.withUnsafeBytes { SharedBuffer.copy($0, keeper: keeper) })
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
