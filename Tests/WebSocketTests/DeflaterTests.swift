import Bytes
import TestSupport
import Testing
import WebSocket

@Suite("RFC 7692 7.2.1: messages are compressed")
struct DeflaterTests {
    private func deflate(_ message: [UInt8], with deflater: Deflater) -> [UInt8]? {
        var output = ByteBuffer()
        let isSent = message.withUnsafeBytes { deflater.deflate($0, into: &output) }
        if isSent { return Array(output.bytes) }
        let count = output.count
        #expect(count == 0)
        return nil
    }

    private func inflate(_ message: [UInt8], with inflater: Inflater) -> [UInt8]? {
        var output = ByteBuffer()
        let violation = message.withUnsafeBytes {
            inflater.inflate($0, isLast: true, into: &output, limit: .max - 1)
        }
        return violation == nil ? Array(output.bytes) : nil
    }

    private static let greeting = Array(String(repeating: "Hello, ", count: 20).utf8)

    @Test func `the examples of the RFC`() throws {
        let deflater = try #require(Deflater(.init(level: 6, windowBits: 15), keepsContext: true))
        #expect(deflate(Array("Hello".utf8), with: deflater) == [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])
        #expect(deflate(Array("Hello".utf8), with: deflater) == [0xF2, 0x00, 0x11, 0x00, 0x00])
        #expect(deflate([], with: deflater) == [0x00])
    }

    /// zlib refuses this window, as it does when there is no memory.
    @Test func `one that zlib does not make is none, and freed once`() {
        #expect(Deflater(.init(level: 6, windowBits: 16), keepsContext: true) == nil)
    }

    @Test func `without context each message is like the first`() throws {
        let deflater = try #require(Deflater(.init(level: 6, windowBits: 15), keepsContext: false))
        let first = try #require(deflate(Self.greeting, with: deflater))
        #expect(deflate(Self.greeting, with: deflater) == first)
        let inflater = try #require(Inflater(windowBits: 15, keepsContext: false))
        #expect(inflate(first, with: inflater) == Self.greeting)
    }

    @Test func `what does not become smaller is sent as it is, unless the next message may refer to it`() throws {
        var random = SeededRandom(seed: 1)
        let noise = random.bytes(1000)
        let fresh = try #require(Deflater(.init(level: 1, windowBits: 15), keepsContext: false))
        #expect(deflate(noise, with: fresh) == nil)
        #expect(deflate([1], with: fresh) == nil)
        #expect(deflate(Self.greeting, with: fresh) != nil)
        let keeping = try #require(Deflater(.init(level: 1, windowBits: 15), keepsContext: true))
        let inflater = try #require(Inflater(windowBits: 15, keepsContext: true))
        for _ in 0..<2 {
            let message = try #require(deflate(noise, with: keeping))
            #expect(inflate(message, with: inflater) == noise)
        }
    }

    @Test(arguments: 9...15, [false, true])
    func `any message comes back, in a window of any size`(windowBits: Int, keepsContext: Bool) throws {
        var random = SeededRandom(seed: UInt64(windowBits))
        for level in [0, 1, 2, 3, 6, 9] {
            let deflater = try #require(
                Deflater(.init(level: level, windowBits: windowBits), keepsContext: keepsContext))
            let inflater = try #require(Inflater(windowBits: windowBits, keepsContext: keepsContext))
            for size in [1, 2, 3, 20, 125, 126, 1000, 4096, 16_384, 65_535, 65_536, 200_000] {
                let word = random.bytes(Int.random(in: 1...50, using: &random))
                var message = (0..<size).map { word[$0 % word.count] }
                for _ in 0..<size / 30 { message[Int.random(in: 0..<size, using: &random)] = UInt8(size & 0xFF) }
                guard let compressed = deflate(message, with: deflater) else {
                    #expect(!keepsContext)
                    continue
                }
                // No block with BFINAL=1: here the one in front.
                #expect(compressed[0] & 1 == 0)
                #expect(inflate(compressed, with: inflater) == message)
            }
        }
    }

    @Test(arguments: [0, 1, 3, 6], [false, true])
    func `a message in pieces comes back, each piece at once`(level: Int, keepsContext: Bool) throws {
        var random = SeededRandom(seed: 11)
        let deflater = try #require(Deflater(.init(level: level, windowBits: 15), keepsContext: keepsContext))
        let inflater = try #require(Inflater(windowBits: 15, keepsContext: keepsContext))
        let ways = [[0], [0, 0], [300, 0], [0, 300], [1, 1, 1], [70_000, 0, 0, 5, 70_000], [20, 4000]]
        for lengths in ways + ways {
            for (index, length) in lengths.enumerated() {
                let isLast = index == lengths.count - 1
                let noise = random.bytes(length / 2)
                let piece = noise + noise + [UInt8](repeating: 7, count: length % 2)
                var compressed = ByteBuffer()
                var output = ByteBuffer()
                piece.withUnsafeBytes { deflater.deflate(piece: $0, isLast: isLast, into: &compressed) }
                let violation = inflater.inflate(
                    UnsafeRawBufferPointer(compressed.bytes), isLast: isLast, into: &output, limit: 1 << 20)
                #expect(violation == nil)
                #expect(Array(output.bytes) == piece)
            }
            let whole = try #require(deflate(Self.greeting, with: deflater))
            #expect(inflate(whole, with: inflater) == Self.greeting)
        }
    }

    @Test func `without context nothing is appended, and no room is made, for what does not become smaller`() throws {
        var random = SeededRandom(seed: 12)
        for level in [0, 1, 6] {
            let deflater = try #require(Deflater(.init(level: level, windowBits: 15), keepsContext: false))
            for size in [1, 5, 100, 5000, 300_000] {
                var output = ByteBuffer()
                let isSmaller = random.bytes(size).withUnsafeBytes { deflater.deflate($0, into: &output) }
                let (count, capacity) = (output.count, output.capacity)
                #expect(!isSmaller)
                #expect(count == 0)
                #expect(capacity <= size + 4)
            }
            let first = try #require(deflate(Self.greeting, with: deflater))
            let inflater = try #require(Inflater(windowBits: 15, keepsContext: false))
            #expect(inflate(first, with: inflater) == Self.greeting)
        }
    }
}
