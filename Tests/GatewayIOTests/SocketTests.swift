import AllocationCounter
import Bytes
import GatewayIO
import Glibc
import TestSupport
import Testing

@Suite("Reading and writing: what the kernel says becomes one of four answers")
struct SocketTests {
    private func read(_ socket: borrowing Socket, _ count: Int) -> (IOResult, [UInt8]) {
        var bytes = [UInt8](repeating: 0, count: count)
        let result = bytes.withUnsafeMutableBytes { socket.read(into: $0) }
        guard case .moved(let moved) = result else { return (result, []) }
        return (result, Array(bytes[..<moved]))
    }

    @Test("nothing there would block; what is there is moved; the end is the end")
    func reading() throws {
        let pair = try Loopback.pair()
        #expect(read(pair.ours, 10).0 == .wouldBlock)
        Loopback.write(pair.theirs.number, [1, 2, 3])
        let (first, bytes) = read(pair.ours, 2)
        #expect(first == .moved(2))
        #expect(bytes == [1, 2])
        #expect(read(pair.ours, 10).1 == [3])
        Loopback.end(pair.theirs)
        for _ in 0..<2 { #expect(read(pair.ours, 10).0 == .endOfStream) }
    }

    @Test("a reset that was asked for is seen at every copy, and an end of both directions is told at once")
    func copies() throws {
        let pair = try Loopback.pair()
        let copy = Socket(adopting: fcntl(pair.ours.number, F_DUPFD_CLOEXEC, 3))
        let before = pair.ours.resetsOnClose
        copy.resetOnClose()
        let after = pair.ours.resetsOnClose
        #expect(!before && after)
        copy.endBoth()
        #expect(read(pair.ours, 10).0 == .endOfStream)
        Loopback.end(pair.theirs)
    }

    @Test("no room is no end of stream")
    func noRoom() throws {
        let pair = try Loopback.pair()
        Loopback.write(pair.theirs.number, [1])
        let none = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        #expect(pair.ours.read(into: none) == .moved(0))
        #expect(pair.ours.read(into: none, then: none) == .moved(0))
        #expect(read(pair.ours, 10).1 == [1])
    }

    @Test("into two buffers, the first one first", arguments: [0, 1, 4, 5, 6, 12, 20])
    func scatter(_ count: Int) throws {
        let pair = try Loopback.pair()
        let sent = (0..<count).map { UInt8($0 + 1) }
        if count > 0 { Loopback.write(pair.theirs.number, sent) }
        var (first, second) = ([UInt8](repeating: 0, count: 5), [UInt8](repeating: 0, count: 7))
        let result = first.withUnsafeMutableBytes { one in
            second.withUnsafeMutableBytes { two in pair.ours.read(into: one, then: two) }
        }
        #expect(result == (count == 0 ? .wouldBlock : .moved(min(count, 12))))
        #expect(Array((first + second).prefix(count)) == Array(sent.prefix(12)))
        Loopback.end(pair.theirs)
    }

    @Test("a reset is a failure, not an end", arguments: [false, true])
    func reset(_ reading: Bool) throws {
        let pair = try Loopback.tcp()
        var hard = linger(l_onoff: 1, l_linger: 0)
        setsockopt(pair.theirs.number, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
        Loopback.end(pair.theirs)
        Loopback.wait(pair.ours.number)
        if reading {
            #expect(read(pair.ours, 10).0 == .failed(Errno(ECONNRESET)))
        } else {
            let bytes: [UInt8] = [1]
            #expect(write(pair.ours, bytes) == .failed(Errno(ECONNRESET)))
            #expect(write(pair.ours, bytes) == .failed(Errno(EPIPE)), "and no signal ends the process")
        }
    }

    @Test("resetOnClose resets the peer; finishSending leaves reading open")
    func ends() throws {
        do {
            let pair = try Loopback.tcp()
            pair.ours.resetOnClose()
            Loopback.end(pair.ours)
            Loopback.wait(pair.theirs.number)
            var byte: UInt8 = 0
            #expect(recv(pair.theirs.number, &byte, 1, 0) == -1)
            #expect(errno == ECONNRESET)
        }
        let pair = try Loopback.tcp()
        pair.ours.disableDelay()
        pair.ours.finishSending()
        #expect(Loopback.read(pair.theirs.number, 1) == [])
        Loopback.write(pair.theirs.number, [7])
        Loopback.wait(pair.ours.number)
        #expect(read(pair.ours, 10).1 == [7])
    }

    private func write(_ socket: borrowing Socket, _ bytes: [UInt8]) -> IOResult {
        let pool = BlockPool()
        var queue = SendQueue()
        bytes.withUnsafeBytes { queue.append($0, pool: pool, size: .small) }
        let result = socket.write(queue)
        queue.removeAll(pool: pool)
        return result
    }

    @Test("an empty queue moves nothing, and a tail alone is written")
    func emptyQueue() throws {
        let pair = try Loopback.pair()
        let queue = SendQueue()
        #expect(pair.ours.write(queue) == .moved(0))
        let tail: [UInt8] = [1, 2, 3]
        let result = tail.withUnsafeBytes { pair.ours.write(queue, tail: $0) }
        #expect(result == .moved(3))
        #expect(Loopback.read(pair.theirs.number, 3) == tail)
    }

    @Test(
        "a full socket takes a part, then blocks, then goes on; the bytes keep their order", arguments: [false, true])
    func shortWrites(_ tcp: Bool) throws {
        let pool = BlockPool()
        var queue = SendQueue()
        var random = SeededRandom(seed: tcp ? 1 : 2)
        var sent: [UInt8] = []
        for _ in 0..<400 {
            let bytes = random.bytes(Int.random(in: 1...5000, using: &random))
            if random.once(in: 3), let shared = bytes.withUnsafeBytes({ SharedBuffer.copy($0) }) {
                queue.append(shared: shared, from: 0, pool: pool)
            } else {
                bytes.withUnsafeBytes { queue.append($0, pool: pool, size: .small) }
            }
            sent += bytes
        }
        let pair = try tcp ? Loopback.tcp() : Loopback.pair()
        var small: Int32 = 4096
        setsockopt(pair.ours.number, SOL_SOCKET, SO_SNDBUF, &small, socklen_t(MemoryLayout<Int32>.size))
        var received: [UInt8] = []
        var blocked = 0
        var short = 0
        while !queue.isEmpty {
            let count = queue.count
            let result = pair.ours.write(queue)
            switch result {
            case .moved(let moved):
                #expect((1...count).contains(moved))
                if moved < count { short += 1 }
                queue.removeFirst(moved, pool: pool)
            case .wouldBlock:
                blocked += 1
                Loopback.waitToGoOn(writing: pair.ours.number, reading: pair.theirs.number)
                received += Loopback.some(pair.theirs.number)
            case .endOfStream, .failed:
                Issue.record("\(result)")
                queue.removeAll(pool: pool)
            }
        }
        received += Loopback.read(pair.theirs.number, sent.count - received.count)
        #expect(received == sent)
        #expect(blocked > 0)
        #expect(short > 0)
    }

    @Test("a tail goes behind the whole queue, however many blocks that has", arguments: [1, 2, 63, 64, 65, 66, 200])
    func tail(_ blocks: Int) throws {
        let pool = BlockPool()
        var queue = SendQueue()
        var expected: [UInt8] = []
        for index in 0..<blocks {
            let bytes = [UInt8(index), 0xAA]
            let shared = try #require(bytes.withUnsafeBytes { SharedBuffer.copy($0) })
            queue.append(shared: shared, from: 0, pool: pool)
            expected += bytes
        }
        var tail: [UInt8] = [0xFF, 0xFE]
        let queued = expected.count
        expected += tail
        let pair = try Loopback.pair()
        while true {
            // As a worker does: what the kernel took beyond the queue was of the tail.
            let before = queue.count
            let result = tail.withUnsafeBytes { pair.ours.write(queue, tail: $0) }
            guard case .moved(let moved) = result else {
                Issue.record("\(result)")
                break
            }
            queue.removeFirst(min(before, moved), pool: pool)
            tail.removeFirst(max(0, moved - before))
            if queue.isEmpty, tail.isEmpty { break }
        }
        #expect(Loopback.read(pair.theirs.number, expected.count) == expected)
        #expect(queued == 2 * blocks)
        queue.removeAll(pool: pool)
    }

    @Test("reading and writing allocate nothing", .enabled(if: allocation_counter_works()))
    func allocations() throws {
        let pair = try Loopback.pair()
        let pool = BlockPool()
        var queue = SendQueue()
        let shared = try #require([UInt8](repeating: 1, count: 10).withUnsafeBytes { SharedBuffer.copy($0) })
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
        defer { buffer.deallocate() }
        var allocations: Int64 = 0
        var moved = 0
        for round in 0..<100 {
            let before = allocation_count()
            for _ in 0..<80 {
                shared.pointee.retain()
                queue.append(shared: shared, from: 0, pool: pool)
            }
            while !queue.isEmpty {
                guard case .moved(let written) = pair.ours.write(queue) else { break }
                queue.removeFirst(written, pool: pool)
                moved += written
                while recv(pair.theirs.number, buffer.baseAddress, buffer.count, 0) > 0 {}
            }
            _ = pair.ours.read(into: buffer)
            _ = pair.ours.read(into: buffer, then: buffer)
            // The first round warms the pool up.
            if round > 0 { allocations += allocation_count() - before }
        }
        #expect(moved == 100 * 800)
        #expect(allocations == 0)
        queue.removeAll(pool: pool)
        SharedBuffer.release(shared)
    }

    @Test("an owner that lets go closes; one that gives the number away does not")
    func ownership() throws {
        let pair = try Loopback.pair()
        let number = pair.ours.release()
        #expect(Loopback.isOpen(number))
        close(number)
        #expect(Loopback.read(pair.theirs.number, 1) == [])
    }
}
