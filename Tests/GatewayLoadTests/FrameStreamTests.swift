import Bytes
import GatewayLoad
import Testing
import WebSocket

@Suite("FrameStream: what is sent and what has to come back")
struct FrameStreamTests {
    @Test(arguments: [0, 1, 20, 125, 126, 127, 1000, 65_535, 65_536, 70_000], [1, 3])
    func `frames are masked and carry the payloads in turn`(_ size: Int, _ depth: Int) {
        let stream = FrameStream(content: .binary, size: size, depth: depth)
        #expect(stream.frames.count == stream.period + depth * stream.frameLength)
        #expect(stream.period == stream.variants * stream.frameLength)
        for index in 0..<stream.variants + depth {
            let frame = Array(stream.frames[index * stream.frameLength..<(index + 1) * stream.frameLength])
            let payload = Self.payload(frame, length: size)
            let variant = index % stream.variants
            #expect(payload == Array(stream.payloads[variant * size..<(variant + 1) * size]))
        }
    }

    @Test(arguments: [LoadPlan.Content.records, .binary, .text], [0, 20, 300, 70_000])
    func `what becomes smaller is compressed`(_ content: LoadPlan.Content, _ size: Int) throws {
        let deflater = try #require(Deflater(.init(level: 1, windowBits: 15), keepsContext: false))
        let inflater = try #require(Inflater(windowBits: 15, keepsContext: false))
        let (depth, variantsAtMost) = (3, 64)
        let stream = FrameStream(content: content, size: size, depth: depth, deflater: deflater)
        #expect(stream.variants <= variantsAtMost && stream.period == stream.length(of: stream.variants, from: 0))
        #expect(stream.frames.count == stream.period + depth * stream.frameLength)
        var start = 0
        for index in 0..<stream.variants + depth {
            let variant = index % stream.variants
            let end = start + stream.length(of: 1, from: variant)
            let (payload, isCompressed) = try #require(Self.open(Array(stream.frames[start..<end])))
            #expect(payload.count == stream.packedLength(of: 1, from: variant))
            #expect(isCompressed == (payload.count < size))
            var plain = ByteBuffer()
            if isCompressed {
                let violation = payload.withUnsafeBytes {
                    inflater.inflate($0, isLast: true, into: &plain, limit: size)
                }
                #expect(violation == nil)
            } else {
                payload.withUnsafeBytes { plain.append($0) }
            }
            #expect(Array(plain.bytes) == Array(stream.payloads[variant * size..<(variant + 1) * size]))
            start = end
        }
        let isSmall = stream.packedLength(of: stream.variants, from: 0) < stream.variants * size * 7 / 10
        #expect(isSmall == (content == .records && size >= 300))
    }

    /// The payload of a frame, and whether it has RSV1.
    private static func open(_ frame: [UInt8]) -> (payload: [UInt8], isCompressed: Bool)? {
        let parsed = frame.withUnsafeBytes { FrameHeader.parse($0) }
        var plain = frame
        plain[0] &= ~0x40
        guard
            case .header(let header) = frame[0] & 0x40 == 0 ? parsed : plain.withUnsafeBytes({ FrameHeader.parse($0) }),
            header.length + Int(header.payloadLength) == frame.count
        else { return nil }
        var payload = Array(frame[header.length...])
        var key = header.maskingKey
        payload.withUnsafeMutableBytes { key.unmask($0) }
        return (payload, frame[0] & 0x40 != 0)
    }

    /// The payload of a frame as a server reads it; empty when the header is not as it should be.
    private static func payload(_ frame: [UInt8], length: Int) -> [UInt8]? {
        let parsed = frame.withUnsafeBytes { FrameHeader.parse($0) }
        guard case .header(let header) = parsed, header.opcode == .binary, header.isFinal,
            header.payloadLength == length, header.length + length == frame.count
        else { return nil }
        var payload = Array(frame[header.length...])
        var key = header.maskingKey
        payload.withUnsafeMutableBytes { key.unmask($0) }
        return payload
    }

    @Test(arguments: [LoadPlan.Content.text, .utf8, .records], [2, 20, 16_384])
    func `text is UTF-8`(_ content: LoadPlan.Content, _ size: Int) {
        let stream = FrameStream(content: content, size: size, depth: 1)
        for variant in 0..<stream.variants {
            let payload = stream.payloads[variant * size..<(variant + 1) * size]
            #expect(String(validating: payload, as: UTF8.self) != nil)
        }
        #expect(stream.payloads.contains { $0 >= 0x80 } == (content == .utf8))
    }
}
