/// The header of one frame from a client (RFC 6455 5.2), checked by itself.
public struct FrameHeader: Equatable, Sendable {
    public var opcode: Opcode
    public var isFinal: Bool
    /// RSV1-3 as the upper three of the low four bits of the first byte's upper half: 0b100 is RSV1.
    public var reserved: UInt8
    public var payloadLength: Int
    public var maskingKey: MaskingKey
    /// Bytes of the header itself.
    public var length: Int

    /// What the bytes begin with.
    public enum Parsed: Equatable {
        case needMore
        case header(FrameHeader)
        case violation(ProtocolViolation)
    }

    /// The longest header a client can send.
    public static let maximumLength = 14

    /// Reads the header at the front of the bytes.
    ///
    /// A rule is applied as soon as the bytes it needs are there, from the two on that every header has. What
    /// is known stays known: a header that arrives in parts is judged as it is when it arrives whole.
    @inline(__always)
    public static func parse(_ bytes: UnsafeRawBufferPointer) -> Parsed {
        guard bytes.count >= 2, let base = bytes.baseAddress else { return .needMore }
        let first = unsafe base.load(as: UInt8.self)
        let second = unsafe base.load(fromByteOffset: 1, as: UInt8.self)
        guard let opcode = Opcode(rawValue: first & 0x0F) else { return .violation(.reservedOpcode) }
        if second & 0x80 == 0 { return .violation(.unmasked) }
        let isFinal = first & 0x80 != 0
        let short = second & 0x7F
        if opcode.rawValue & 0x8 != 0, !isFinal || short > 125 { return .violation(.badControlFrame) }
        var length = Int(short)
        var keyOffset = 2
        if short == 126 {
            guard bytes.count >= 4 else { return .needMore }
            length = Int(UInt16(bigEndian: unsafe base.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            if length < 126 { return .violation(.badLength) }
            keyOffset = 4
        } else if short == 127 {
            guard bytes.count >= 10 else { return .needMore }
            let wide = UInt64(bigEndian: unsafe base.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            // RFC 6455 5.2: the topmost bit is 0. A length that is no Int cannot trap here.
            guard wide > 0xFFFF, let exact = Int(exactly: wide) else { return .violation(.badLength) }
            length = exact
            keyOffset = 10
        }
        guard bytes.count >= keyOffset &+ 4 else { return .needMore }
        let key = unsafe base.loadUnaligned(fromByteOffset: keyOffset, as: UInt32.self)
        return .header(
            FrameHeader(
                opcode: opcode, isFinal: isFinal, reserved: first >> 4 & 0x7, payloadLength: length,
                maskingKey: MaskingKey(word: key), length: keyOffset &+ 4))
    }
}
