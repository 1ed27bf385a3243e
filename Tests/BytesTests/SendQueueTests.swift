import AllocationCounter
import Bytes
import Glibc
import TestSupport
import Testing

/// A queue beside the bytes it should hold.
private struct Checked: ~Copyable {
    private let pool = BlockPool()
    private var queue = SendQueue()
    private(set) var model: [UInt8] = []
    /// Everything that was referred to, to see that all of it comes back.
    private var references: [CountedBytes] = []

    mutating func append(header bytes: [UInt8], size: BlockPool.Size = .small) {
        let padded = bytes + Array(repeating: 0xEE, count: 10 - bytes.count)
        let low = padded[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let high = UInt16(padded[9]) << 8 | UInt16(padded[8])
        queue.append(header: low, high, count: bytes.count, pool: pool, size: size)
        model += bytes
    }

    mutating func append(_ bytes: [UInt8], size: BlockPool.Size = .small) {
        bytes.withUnsafeBytes { queue.append($0, pool: pool, size: size) }
        model += bytes
    }

    mutating func append(shared bytes: [UInt8], from start: Int = 0) {
        let counted = CountedBytes(bytes)
        references.append(counted)
        queue.append(shared: counted.shared, from: start, pool: pool)
        model += bytes.dropFirst(start)
    }

    /// Lends frames that lie one behind the other in `bytes`, each of a two-byte header and its payload.
    mutating func lend(_ bytes: UnsafeMutableRawBufferPointer, payloads: [Range<Int>]) {
        for payload in payloads {
            let start = bytes.baseAddress! + payload.lowerBound
            let lent = queue.appendInPlace(
                header: UInt64(payload.count) << 8 | 0x82, count: 2, payload: start, count: payload.count, pool: pool)
            #expect(lent)
            model += [0x82, UInt8(payload.count)] + bytes[payload]
            let end = queue.endOfInPlaceRun(pool: pool)
            #expect(end == bytes.baseAddress! + payload.upperBound)
        }
    }

    /// False when there was no place for the frame; then nothing has changed.
    mutating func tryToAppendInPlace(_ bytes: UnsafeMutableRawBufferPointer, payload: Range<Int>) -> Bool {
        queue.appendInPlace(
            header: 0x8182, count: 2, payload: bytes.baseAddress! + payload.lowerBound, count: payload.count,
            pool: pool)
    }

    mutating func keep() { queue.keep(pool: pool) }
    var hasInPlaceRun: Bool { pool.hasInPlaceRun }

    mutating func removeFirst(_ count: Int) {
        queue.removeFirst(count, pool: pool)
        model.removeFirst(count)
    }

    func vectors(_ limit: Int) -> [[UInt8]] {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: limit) { vectors in
            (0..<queue.gather(into: vectors)).map { index in
                Array(UnsafeRawBufferPointer(start: vectors[index].iov_base, count: vectors[index].iov_len))
            }
        }
    }

    func check(_ location: SourceLocation = #_sourceLocation) {
        let (count, isEmpty, all) = (queue.count, queue.isEmpty, vectors(2000))
        #expect(count == model.count, sourceLocation: location)
        #expect(isEmpty == model.isEmpty, sourceLocation: location)
        #expect(all.flatMap { $0 } == model, sourceLocation: location)
        #expect(all.allSatisfy { !$0.isEmpty }, "the kernel is offered no empty run", sourceLocation: location)
        let single = queue.single.map { Array($0) }
        #expect(single == (all.count == 1 ? all[0] : nil), sourceLocation: location)
    }

    var released: [Int] { references.map(\.released) }

    /// Empties the queue; everything referred to has come back once.
    consuming func end(_ location: SourceLocation = #_sourceLocation) {
        queue.removeAll(pool: pool)
        let isEmpty = queue.isEmpty
        #expect(isEmpty, sourceLocation: location)
        #expect(released.allSatisfy { $0 == 1 }, sourceLocation: location)
        #expect(references.allSatisfy { $0.kept == 0 }, sourceLocation: location)
    }
}

@Suite("A send queue gives out what was put in, in order")
struct SendQueueTests {
    static let small = BlockPool.Size.small.rawValue - MemoryLayout<BlockPool.Block>.stride
    static let large = BlockPool.Size.large.rawValue - MemoryLayout<BlockPool.Block>.stride

    private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ $0 >> 8) } }

    @Test("a header of any length", arguments: 0...10)
    func header(_ count: Int) {
        guard count > 0 else { return }
        var checked = Checked()
        checked.append(header: bytes(count))
        checked.check()
        checked.append(header: bytes(2))
        checked.append([9, 9])
        checked.check()
        checked.end()
    }

    @Test(
        "a copy at the borders of the blocks",
        arguments: [
            0, 1, small - 1, small, small + 1, small + large - 1, small + large, small + large + 1, 3 * large,
        ])
    func copy(_ count: Int) {
        for size in [BlockPool.Size.small, .large] {
            for before in [0, 1, 10] {
                var checked = Checked()
                if before > 0 { checked.append(header: bytes(before), size: size) }
                checked.append(bytes(count), size: size)
                checked.check()
                checked.append([1, 2, 3], size: size)
                checked.check()
                checked.end()
            }
        }
    }

    @Test("a header never straddles two blocks, at every filling of the first", arguments: 0...20)
    func headerAtTheEnd(_ left: Int) {
        var checked = Checked()
        checked.append(bytes(Self.small - left))
        checked.append(header: bytes(10))
        let first = checked.vectors(10)[0].count
        #expect(first <= Self.small, "nothing is written behind the block")
        checked.append([7])
        checked.check()
        checked.end()
    }

    @Test("partial removal at every point")
    func removal() {
        for point in 0...72 {
            var checked = Checked()
            checked.append(header: bytes(2))
            checked.append(bytes(20))
            checked.append(shared: bytes(30))
            checked.append(header: bytes(10))
            checked.append(bytes(5))
            checked.append(shared: bytes(10), from: 5)
            #expect(checked.model.count == 72)
            checked.removeFirst(point)
            checked.check()
            #expect(checked.released == [point >= 52 ? 1 : 0, point >= 72 ? 1 : 0])
            checked.append([1, 2, 3])
            checked.check()
            checked.removeFirst(checked.model.count)
            checked.check()
            checked.end()
        }
    }

    @Test("a reference from any place; from its end or beyond it is let go at once", arguments: 0...6)
    func references(_ start: Int) {
        var checked = Checked()
        checked.append([1])
        checked.append(shared: [1, 2, 3, 4], from: start)
        checked.append([5])
        checked.check()
        #expect(checked.released == [start >= 4 ? 1 : 0])
        checked.end()
    }

    @Test("one set of bytes in many queues is released by the last")
    func broadcast() {
        let pool = BlockPool()
        let counted = CountedBytes(bytes(100))
        let memory = UnsafeMutableBufferPointer<SendQueue>.allocate(capacity: 50)
        for index in 0..<50 {
            memory.initializeElement(at: index, to: SendQueue())
            counted.shared.pointee.retain()
            memory[index].append(shared: counted.shared, from: 0, pool: pool)
        }
        SharedBuffer.release(counted.shared)
        for index in 0..<50 {
            #expect(counted.released == 0)
            memory[index].removeFirst(60, pool: pool)
            memory[index].removeAll(pool: pool)
            memory.deinitializeElement(at: index)
        }
        #expect(counted.released == 1)
        memory.deallocate()
    }

    @Test("lent bytes go out from where they lie, and are copied when they are about to change", arguments: 0...25)
    func loan(_ sent: Int) {
        var checked = Checked()
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 1)
        for index in memory.indices { memory[index] = UInt8(index) }
        checked.lend(memory, payloads: [10..<13, 15..<15, 17..<30])
        let runs = checked.vectors(10).count
        #expect(runs == 1)
        checked.check()
        checked.removeFirst(min(sent, checked.model.count))
        checked.check()
        if sent < 22 {
            let apart = checked.tryToAppendInPlace(memory, payload: 40..<50)
            #expect(!apart, "it does not lie behind the others")
            checked.append([1, 2, 3])
            let behind = checked.tryToAppendInPlace(memory, payload: 32..<33)
            #expect(!behind, "something else stands behind the loan")
        }
        let hasInPlaceRun = checked.hasInPlaceRun
        #expect(hasInPlaceRun == (sent < 22))
        if hasInPlaceRun { checked.keep() }
        for index in memory.indices { memory[index] = 0xEE }
        checked.check()
        checked.append([4])
        checked.check()
        memory.deallocate()
        checked.end()
    }

    @Test("a loan behind other output is no loan; one that was sent makes room for the next")
    func loanTwice() {
        var checked = Checked()
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 1)
        checked.append([1])
        let behind = checked.tryToAppendInPlace(memory, payload: 2..<4)
        #expect(!behind)
        checked.check()
        checked.removeFirst(1)
        for start in [4, 50] {
            checked.lend(memory, payloads: [start..<start + 9])
            checked.check()
            checked.removeFirst(11)
            let hasInPlaceRun = checked.hasInPlaceRun
            #expect(!hasInPlaceRun)
        }
        memory.deallocate()
        checked.end()
    }

    @Test("a loan that something stood behind leaves no trace of that", arguments: [false, true])
    func loanAfterAnother(isKept: Bool) {
        var checked = Checked()
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 1)
        for _ in 0..<3 {
            checked.lend(memory, payloads: [4..<9])
            checked.append([1, 2])
            checked.append(shared: [3, 4])
            checked.check()
            if isKept { checked.keep() }
            checked.check()
            checked.removeFirst(11)
            checked.lend(memory, payloads: [50..<60])
            checked.check()
            checked.removeFirst(12)
        }
        memory.deallocate()
        checked.end()
    }

    @Test("gather fills no more than it is given")
    func gather() {
        var checked = Checked()
        for index in 0..<100 { checked.append(shared: [UInt8(index), 1]) }
        for limit in [1, 2, 64, 99, 100, 200] {
            let vectors = checked.vectors(limit)
            #expect(vectors.count == min(limit, 100))
            #expect(vectors.flatMap { $0 } == Array(checked.model.prefix(2 * limit)))
        }
        checked.removeFirst(3)
        #expect(checked.vectors(2) == [[1], [2, 1]])
        let none = checked.vectors(0)
        #expect(none.isEmpty)
        checked.end()
    }

    @Test("random use against an array", arguments: 0..<60 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var checked = Checked()
        for _ in 0..<120 {
            let size = random.once(in: 2) ? BlockPool.Size.small : .large
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1:
                checked.append(header: random.bytes([2, 4, 10][Int.random(in: 0..<3, using: &random)]), size: size)
            case 2, 3: checked.append(random.bytes(Int.random(in: 0...60, using: &random)), size: size)
            case 4: checked.append(random.bytes(Int.random(in: 0...2500, using: &random)), size: size)
            case 5:
                let bytes = random.bytes(Int.random(in: 0...300, using: &random))
                checked.append(shared: bytes, from: Int.random(in: 0...bytes.count, using: &random))
            case 6: checked.removeFirst(Int.random(in: 0...checked.model.count, using: &random))
            default: checked.removeFirst(Int.random(in: 0...min(30, checked.model.count), using: &random))
            }
            checked.check()
        }
        checked.end()
    }

    @Test("headers between references cost small blocks, not large ones", .enabled(if: allocation_counter_works()))
    func headersBetweenReferences() throws {
        let bytes = bytes(100)
        let shared = try #require(bytes.withUnsafeBytes { SharedBuffer.copy($0) })
        let pool = BlockPool()
        var queue = SendQueue()
        let before = allocated_bytes()
        for _ in 0..<64 {
            shared.pointee.retain()
            queue.append(header: 0x6482, 0, count: 2, pool: pool, size: .large)
            queue.append(shared: shared, from: 0, pool: pool)
        }
        // The first block is what was asked for. Then 64 messages of 102 bytes that wait for a slow reader must not
        // pin 32 KiB each.
        let most = BlockPool.Size.large.rawValue + 64 * (BlockPool.Size.small.rawValue + 64)
        #expect(allocated_bytes() - before <= most)
        queue.removeAll(pool: pool)
        SharedBuffer.release(shared)
    }

    @Test("removing more than there is, or leaving bytes behind, ends the process")
    func faults() async {
        await #expect(processExitsWith: .failure) {
            let pool = BlockPool()
            var queue = SendQueue()
            queue.removeFirst(1, pool: pool)
        }
        await #expect(processExitsWith: .failure) {
            let pool = BlockPool()
            var queue = SendQueue()
            withUnsafeBytes(of: 5 as UInt8) { queue.append($0, pool: pool, size: .small) }
        }
    }

    @Test("one queue goes behind another, and is empty then", arguments: [(0, 0), (5, 0), (0, 5), (2000, 3000)])
    func joined(_ sizes: (Int, Int)) {
        let pool = BlockPool()
        var front = SendQueue()
        var back = SendQueue()
        [UInt8](repeating: 1, count: sizes.0).withUnsafeBytes { front.append($0, pool: pool, size: .small) }
        [UInt8](repeating: 2, count: sizes.1).withUnsafeBytes { back.append($0, pool: pool, size: .small) }
        front.append(&back)
        [UInt8(3)].withUnsafeBytes { front.append($0, pool: pool, size: .small) }
        let counts = (front.count, back.count)
        #expect(counts == (sizes.0 + sizes.1 + 1, 0))
        let bytes = withUnsafeTemporaryAllocation(of: iovec.self, capacity: 64) { vectors in
            vectors[..<front.gather(into: vectors)].flatMap {
                Array(UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len))
            }
        }
        #expect(bytes.prefix(sizes.0).allSatisfy { $0 == 1 })
        #expect(bytes.dropFirst(sizes.0).prefix(sizes.1).allSatisfy { $0 == 2 })
        front.removeAll(pool: pool)
        back.removeAll(pool: pool)
    }
}
