import Bytes
import TestSupport
import Testing

@Suite("A byte buffer holds what was appended and not removed")
struct ByteBufferTests {
    @Test("against an array", arguments: 0..<60 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var buffer = ByteBuffer()
        var model: [UInt8] = []
        for _ in 0..<200 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<5:
                let bytes = random.bytes(Int.random(in: 0...(random.once(in: 10) ? 3000 : 20), using: &random))
                bytes.withUnsafeBytes { buffer.append($0) }
                model += bytes
            case 5..<7:
                let count = Int.random(in: 0...model.count, using: &random)
                buffer.removeFirst(count)
                model.removeFirst(count)
            case 7:
                let count = Int.random(in: 0...min(50, model.count), using: &random)
                buffer.removeLast(count)
                model.removeLast(count)
            case 8: buffer.reserve(Int.random(in: 0...5000, using: &random))
            case 9:
                let bytes = random.bytes(Int.random(in: 0...min(50, buffer.spare.count), using: &random))
                buffer.spare.copyBytes(from: bytes)
                buffer.didFill(bytes.count)
                model += bytes
            case 10 where random.once(in: 3):
                buffer.removeAll()
                model = []
            case 11 where random.once(in: 3):
                buffer.free()
                model = []
                let capacity = buffer.capacity
                #expect(capacity == 0)
            default: break
            }
            let bytes = Array(buffer.bytes)
            #expect(bytes == model)
            #expect(buffer.count == model.count)
            let (spare, capacity) = (buffer.spare.count, buffer.capacity)
            #expect(spare == capacity - model.count)
        }
    }

    @Test("an empty one holds no memory; nothing appended to it changes that")
    func empty() {
        var buffer = ByteBuffer()
        buffer.append(UnsafeRawBufferPointer(start: nil, count: 0))
        [UInt8]().withUnsafeBytes { buffer.append($0) }
        buffer.removeFirst(0)
        buffer.reserve(0)
        buffer.reserve(-1)
        let (capacity, isEmpty, base) = (buffer.capacity, buffer.isEmpty, buffer.bytes.baseAddress)
        #expect(capacity == 0)
        #expect(isEmpty)
        #expect(base == nil)
    }

    @Test("growing doubles, so that appending byte by byte is linear")
    func growth() {
        var buffer = ByteBuffer()
        var growths = 0
        for byte in 0..<100_000 {
            let before = buffer.capacity
            withUnsafeBytes(of: UInt8(truncatingIfNeeded: byte)) { buffer.append($0) }
            if buffer.capacity != before { growths += 1 }
        }
        #expect(growths <= 18)
        #expect(buffer.count == 100_000)
    }

    @Test("removing all keeps the memory; freeing gives it back, and it can be filled again")
    func free() {
        var buffer = ByteBuffer()
        let bytes: [UInt8] = [1, 2, 3]
        bytes.withUnsafeBytes { buffer.append($0) }
        let capacity = buffer.capacity
        buffer.removeAll()
        #expect(buffer.capacity == capacity)
        buffer.free()
        #expect(buffer.capacity == 0)
        bytes.withUnsafeBytes { buffer.append($0) }
        let held = Array(buffer.bytes)
        #expect(held == bytes)
    }

    @Test("claiming or removing more than there is ends the process")
    func faults() async {
        await #expect(processExitsWith: .failure) {
            var buffer = ByteBuffer()
            buffer.didFill(1)
        }
        await #expect(processExitsWith: .failure) {
            var buffer = ByteBuffer()
            buffer.removeFirst(1)
        }
    }
}
