import TestSupport
import Testing
import WebSocket

private func parse(_ bytes: [UInt8]) -> FrameHeader.Parsed {
    bytes.withUnsafeBytes { FrameHeader.parse($0) }
}

@Suite("RFC 6455 5.2: the header of a frame")
struct FrameHeaderTests {
    struct Wrong: CustomTestStringConvertible {
        let what: String
        let frame: ClientFrame
        let violation: ProtocolViolation
        /// The bytes after which it is known.
        let knownAfter: Int
        var testDescription: String { what }
    }

    static let wrong: [Wrong] =
        ([3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8]).map {
            Wrong(what: "opcode \($0)", frame: ClientFrame($0), violation: .reservedOpcode, knownAfter: 2)
        }
        + ([0, 1, 2, 8, 9, 10] as [UInt8]).map { opcode in
            Wrong(
                what: "opcode \(opcode) without a mask", frame: ClientFrame(opcode).with { $0.isMasked = false },
                violation: .unmasked, knownAfter: 2)
        }
        + ([8, 9, 10] as [UInt8]).flatMap { opcode in
            [
                Wrong(
                    what: "control frame \(opcode) without FIN", frame: ClientFrame(opcode, isFinal: false),
                    violation: .badControlFrame, knownAfter: 2),
                Wrong(
                    what: "control frame \(opcode) of 126",
                    frame: ClientFrame(opcode, Array(repeating: 0, count: 126)), violation: .badControlFrame,
                    knownAfter: 2),
                Wrong(
                    what: "control frame \(opcode) of 65536",
                    frame: ClientFrame(opcode).with { $0.lengthForm = .eight },
                    violation: .badControlFrame, knownAfter: 2),
            ]
        }
        + ([0, 1, 125] as [UInt64]).flatMap { length in
            [
                Wrong(
                    what: "\(length) in two bytes",
                    frame: ClientFrame(2).with { ($0.claimedLength, $0.lengthForm) = (length, .two) },
                    violation: .badLength, knownAfter: 4),
                Wrong(
                    what: "\(length) in eight bytes",
                    frame: ClientFrame(2).with { ($0.claimedLength, $0.lengthForm) = (length, .eight) },
                    violation: .badLength, knownAfter: 10),
            ]
        }
        + ([126, 0xFFFF, 1 << 63, UInt64.max, 1 << 63 | 5] as [UInt64]).map { length in
            Wrong(
                what: "\(length) in eight bytes",
                frame: ClientFrame(2).with { ($0.claimedLength, $0.lengthForm) = (length, .eight) },
                violation: .badLength, knownAfter: 10)
        }

    @Test("each rule is a violation, and as early as its bytes are there", arguments: wrong)
    func brokenRule(_ row: Wrong) {
        let bytes = row.frame.bytes
        for count in 0...bytes.count {
            let expected: FrameHeader.Parsed = count < row.knownAfter ? .needMore : .violation(row.violation)
            #expect(parse(Array(bytes[..<count])) == expected, "after \(count) bytes")
        }
    }

    @Test(
        "every length that is allowed, at the borders of its three forms",
        arguments: [0, 1, 124, 125, 126, 127, 128, 0xFFFE, 0xFFFF, 0x10000, 0x10001, 1 << 32, UInt64(Int.max)])
    func length(_ length: UInt64) {
        let frame = ClientFrame(2, isFinal: false).with { $0.claimedLength = length }
        let bytes = frame.header
        for count in 0..<bytes.count { #expect(parse(Array(bytes[..<count])) == .needMore) }
        let expectedLength = length < 126 ? 6 : length <= 0xFFFF ? 8 : FrameHeader.maximumLength
        guard case .header(let header) = parse(bytes) else {
            Issue.record("\(parse(bytes))")
            return
        }
        #expect(header.payloadLength == Int(length))
        #expect(header.length == expectedLength)
        #expect(!header.isFinal)
    }

    @Test("opcode, FIN and the reserved bits are told apart", arguments: [0, 1, 2, 8, 9, 10] as [UInt8])
    func firstByte(_ opcode: UInt8) {
        for isFinal in opcode >= 8 ? [true] : [true, false] {
            for reserved: UInt8 in 0...7 {
                let frame = ClientFrame(opcode, isFinal: isFinal).with { $0.reserved = reserved }
                guard case .header(let header) = parse(frame.bytes) else {
                    Issue.record("not a header: \(frame)")
                    continue
                }
                #expect(header.opcode == Opcode(rawValue: opcode))
                #expect(header.isFinal == isFinal)
                #expect(header.reserved == reserved)
            }
        }
    }

    @Test("every pair of first bytes is judged without a trap, however much follows")
    func everyPair() {
        var wrong: [[UInt8]] = []
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                for fill in [0, 0xFF] as [UInt8] {
                    let bytes = [first, second] + Array(repeating: fill, count: 12)
                    let parsed = bytes.withUnsafeBytes { all in
                        [2, 4, 10, 14].map { FrameHeader.parse(UnsafeRawBufferPointer(rebasing: all[..<$0])) }
                    }
                    // What was known stays known when more arrives, and fourteen bytes decide.
                    let known = parsed.drop { $0 == .needMore }
                    if known.isEmpty || known.contains(where: { $0 != known.last }) { wrong.append(bytes) }
                }
            }
        }
        #expect(wrong == [])
    }
}
