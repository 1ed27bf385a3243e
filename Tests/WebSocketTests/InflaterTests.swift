import Bytes
import Testing
import WebSocket

@Suite("RFC 7692 7.2.2: compressed messages are decompressed")
struct InflaterTests {
    static let hello = Array("Hello".utf8)

    /// Inflates messages one after the other, each in runs; ends at the first violation.
    private func inflate(
        _ messages: [[UInt8]], runs: (Int) -> Int, keepsContext: Bool = true, windowBits: Int = 15, limit: Int = 1 << 20
    ) -> (messages: [[UInt8]], violation: ProtocolViolation?) {
        guard let inflater = Inflater(windowBits: windowBits, keepsContext: keepsContext) else { return ([], nil) }
        var inflated: [[UInt8]] = []
        for message in messages {
            var output = ByteBuffer()
            var start = 0
            repeat {
                let end = min(message.count, start + max(1, runs(start)))
                let violation = message[start..<end].withUnsafeBytes {
                    inflater.inflate($0, isLast: end == message.count, into: &output, limit: limit)
                }
                start = end
                if let violation { return (inflated, violation) }
            } while start < message.count
            inflated.append(Array(output.bytes))
        }
        return (inflated, nil)
    }

    /// zlib refuses this window, as it does when there is no memory.
    @Test func `one that zlib does not make is none, and freed once`() {
        #expect(Inflater(windowBits: 16, keepsContext: true) == nil)
    }

    /// Every way to cut the messages.
    private func cuts(_ messages: [[UInt8]]) -> [(Int) -> Int] {
        let most = messages.map(\.count).max() ?? 0
        return [{ _ in most }, { _ in 1 }, { _ in 3 }] + (0..<most).map { cut in { $0 == 0 ? cut : most } }
    }

    @Test(
        arguments: [
            // 7.2.3.1 to 7.2.3.6 of the RFC.
            [[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]],
            [[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], [0xF2, 0x00, 0x11, 0x00, 0x00]],
            [[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00]],
            [[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]],
            [[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00]],
            // BFINAL=1 without the byte behind it, and in an empty block of which the client keeps a byte.
            [[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]],
            [[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x01]],
            // Two messages that end so, and one after them.
            [
                [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
                [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
            ],
        ] as [[[UInt8]]])
    func `the examples of the RFC`(messages: [[UInt8]]) {
        for runs in cuts(messages) {
            let seen = inflate(messages, runs: runs)
            #expect(seen.violation == nil)
            #expect(seen.messages == messages.map { _ in Self.hello })
        }
    }

    @Test func `nothing at all, and two streams in one message`() {
        #expect(inflate([[0x00]], runs: { _ in 1 }).messages == [[]])
        let stream: [UInt8] = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        for runs in cuts([stream + stream]) {
            #expect(inflate([stream + stream + [0x00]], runs: runs).messages == [Self.hello + Self.hello])
        }
    }

    @Test(
        arguments: [
            // A block type that is none, a stored block whose length is not what it says, nothing.
            [0x07], [0x00, 0x05, 0x00, 0xFA, 0xFE, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00], [],
            // Cut short, in a block and in a stored one.
            [0xF2, 0x48, 0xCD, 0xC9], [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65],
            // A reference to what was never sent.
            [0xF2, 0x00, 0x11, 0x00, 0x00],
        ] as [[UInt8]])
    func `what is no deflate is a violation`(message: [UInt8]) {
        for runs in cuts([message]) {
            #expect(inflate([message], runs: runs).violation == .brokenCompression)
        }
    }

    @Test func `without context a message cannot refer to the one before`() {
        let messages: [[UInt8]] = [[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], [0xF2, 0x00, 0x11, 0x00, 0x00]]
        let seen = inflate(messages, runs: { _ in 9 }, keepsContext: false)
        #expect(seen.messages == [Self.hello])
        #expect(seen.violation == .brokenCompression)
    }

    @Test(arguments: 0...6) func `a message has at most so many bytes`(limit: Int) {
        let message: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        for runs in cuts([message]) {
            let seen = inflate([message, message], runs: runs, limit: limit)
            #expect(seen.violation == (limit < 5 ? .messageTooBig : nil))
            #expect(seen.messages.count == (limit < 5 ? 0 : 2))
        }
    }

    @Test(arguments: [1, 16, 1 << 20]) func `a bomb ends when it is too big, and has cost no more`(run: Int) throws {
        let limit = 64 << 10
        let zeros = [UInt8](repeating: 0, count: 16 << 20)
        let deflater = try #require(Deflater(.init(level: 9, windowBits: 15), keepsContext: false))
        var bomb = ByteBuffer()
        let isSent = zeros.withUnsafeBytes { deflater.deflate($0, into: &bomb) }
        #expect(isSent)
        let size = bomb.count
        #expect(size * 1000 < zeros.count)
        let inflater = try #require(Inflater(windowBits: 15, keepsContext: false))
        var output = ByteBuffer()
        var violation: ProtocolViolation?
        var start = 0
        while violation == nil, start < bomb.count {
            let end = min(bomb.count, start + run)
            let piece = UnsafeRawBufferPointer(rebasing: bomb.bytes[start..<end])
            violation = inflater.inflate(piece, isLast: end == bomb.count, into: &output, limit: limit)
            start = end
        }
        #expect(violation == .messageTooBig)
        let (count, capacity) = (output.count, output.capacity)
        #expect(count == limit + 1)
        #expect(capacity <= 2 * limit)
    }
}
