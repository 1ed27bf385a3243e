import GatewayLoad
import Testing

@Suite("RFC 6455 5, frames of a server")
struct ServerFrameReaderTests {
    /// What came out: payloads of whole frames with their opcodes, or the rule that was broken.
    struct Seen: Equatable {
        var frames: [[UInt8]] = []
        var opcodes: [UInt8] = []
        var violation: ServerFrameReader.Violation?
    }

    private static func read(_ parts: [ArraySlice<UInt8>], compressed: Bool = false) -> Seen {
        var reader = ServerFrameReader()
        reader.allowsCompression = compressed
        var seen = Seen()
        var payload: [UInt8] = []
        for part in parts.map(Array.init) {
            var position = 0
            reading: while true {
                switch reader.step(part.span, at: &position) {
                case .needMore: break reading
                case .payload(let range, let isEnd):
                    payload += part[range]
                    guard isEnd else { continue }
                    seen.frames.append(payload)
                    seen.opcodes.append(reader.isCompressed && !reader.isControl ? reader.opcode | 0x40 : reader.opcode)
                    payload = []
                case .violation(let violation):
                    seen.violation = violation
                    return seen
                }
            }
        }
        return seen
    }

    /// Whole, byte by byte, and cut at every point: always the same.
    private static func readEveryWay(_ bytes: [UInt8]) -> Seen {
        let whole = read([bytes[...]])
        #expect(read(bytes.indices.map { bytes[$0...$0] }) == whole)
        for cut in bytes.indices.prefix(300) { #expect(read([bytes[..<cut], bytes[cut...]]) == whole) }
        return whole
    }

    @Test func `frames of every length form`() {
        let medium = [UInt8](repeating: 7, count: 300)
        let long = [UInt8](repeating: 9, count: 65_536)
        let bytes =
            [0x81, 2, 104, 105, 0x82, 126, 1, 44] + medium + [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0] + long + [0x8A, 0]
        let seen = Self.readEveryWay(bytes)
        #expect(seen == Seen(frames: [[104, 105], medium, long, []], opcodes: [1, 2, 2, 10]))
    }

    @Test func `a control frame between fragments`() {
        let seen = Self.readEveryWay([0x01, 1, 97, 0x89, 1, 33, 0x80, 1, 98, 0x81, 0])
        #expect(seen == Seen(frames: [[97], [33], [98], []], opcodes: [1, 9, 0, 1]))
    }

    @Test func `RFC 7692 6, the first frame says that a message is compressed`() {
        let bytes: [UInt8] = [0x41, 1, 97, 0x89, 0, 0x80, 1, 98, 0x81, 0, 0xC2, 1, 99]
        let seen = Self.read([bytes[...]], compressed: true)
        #expect(seen == Seen(frames: [[97], [], [98], [], [99]], opcodes: [0x41, 9, 0x40, 1, 0x42]))
    }

    @Test(arguments: [[0xC9, 0], [0xA1, 0], [0xF1, 0], [0x41, 0, 0xC0, 0], [0xC3, 0]] as [[UInt8]])
    func `RFC 7692 6, nothing else has a reserved bit`(_ bytes: [UInt8]) {
        #expect(Self.read([bytes[...]], compressed: true).violation == .reservedBits)
    }

    @Test(arguments: [
        ([0x81, 0x81, 1, 2, 3, 4, 5], ServerFrameReader.Violation.masked),
        ([0xC1, 0], .reservedBits), ([0x91, 0], .reservedBits), ([0x83, 0], .reservedOpcode),
        ([0x8B, 0], .reservedOpcode), ([0x09, 0], .badControlFrame), ([0x88, 126, 0, 126], .badControlFrame),
        ([0x82, 126, 0, 125], .badLength), ([0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255], .badLength),
        ([0x82, 127, 128, 0, 0, 0, 0, 0, 0, 0], .badLength), ([0x80, 0], .badFragment),
        ([0x01, 0, 0x81, 0], .badFragment),
    ])
    func `a broken rule is named`(_ bytes: [UInt8], _ violation: ServerFrameReader.Violation) {
        #expect(Self.readEveryWay(bytes).violation == violation)
    }
}
