import TestSupport
import Testing
import WebSocket

@Suite("A whole short frame is read in one go, any other is left alone")
struct WholeFrameTests {
    /// What the short cut makes of bytes: the payload where it was asked to be, or nil.
    private func read(
        _ bytes: [UInt8], movedBy distance: Int = 0
    ) -> (isText: Bool, isASCII: Bool, length: Int, payload: [UInt8])? {
        var memory = [UInt8](repeating: 0xEE, count: distance) + bytes
        return memory.withUnsafeMutableBytes { memory in
            let start = memory.baseAddress! + distance
            guard let frame = WholeFrame(at: start, left: bytes.count) else { return nil }
            let source = start + frame.headerLength
            let target = source - distance
            let isASCII = frame.unmask(from: source, to: target)
            let payload = Array(UnsafeRawBufferPointer(start: target, count: frame.payloadLength))
            return (frame.isText, isASCII, frame.length, payload)
        }
    }

    @Test("payloads of every length, in place and moved to the front", arguments: [0, 1, 2, 3, 4, 7, 8, 11, 100])
    func payloads(_ distance: Int) throws {
        var random = SeededRandom(seed: UInt64(distance))
        for length in Array(0...200) + [1000, 0xFFFE, 0xFFFF] {
            for opcode in [1, 2] as [UInt8] {
                let payload = random.bytes(length)
                let key = random.bytes(4)
                let bytes = ClientFrame(opcode, payload).with { $0.key = key }.bytes
                let whole = try #require(read(bytes + [0x81, 0x80], movedBy: distance))
                #expect(whole.isText == (opcode == 1))
                #expect(whole.length == bytes.count)
                #expect(whole.payload == payload)
                #expect(whole.isASCII == (length < 32 && payload.allSatisfy { $0 < 0x80 }))
            }
        }
    }

    @Test("one byte beyond ASCII is seen wherever it stands", arguments: 1...31)
    func beyondASCII(_ length: Int) throws {
        for place in 0..<length {
            var payload = [UInt8](repeating: 0x7F, count: length)
            payload[place] = 0x80
            #expect(try !#require(read(ClientFrame(1, payload).bytes)).isASCII)
        }
        #expect(try #require(read(ClientFrame(1, [UInt8](repeating: 0x7F, count: length)).bytes)).isASCII)
    }

    @Test("a frame that has not come as a whole", arguments: [0, 1, 5, 125, 126, 300])
    func incomplete(_ length: Int) {
        let bytes = ClientFrame(2, [UInt8](repeating: 7, count: length)).bytes
        for count in 0..<bytes.count { #expect(read(Array(bytes[..<count])) == nil, "\(count) bytes") }
        #expect(read(bytes) != nil)
    }

    @Test(
        "what FrameReader has to judge",
        arguments: [
            ClientFrame(1, [1], isFinal: false), ClientFrame(0, [1]), ClientFrame(8), ClientFrame(9), ClientFrame(10),
            ClientFrame(3), ClientFrame(1, [1]).with { $0.isMasked = false },
            ClientFrame(1, [1]).with { $0.reserved = 4 }, ClientFrame(1, [1]).with { $0.lengthForm = .two },
            ClientFrame(1, [1]).with { $0.lengthForm = .eight },
            ClientFrame(2, [UInt8](repeating: 1, count: 126)).with { $0.lengthForm = .eight },
            ClientFrame(2, [UInt8](repeating: 1, count: 0x10000)),
        ])
    func others(_ frame: ClientFrame) { #expect(read(frame.bytes) == nil) }
}
