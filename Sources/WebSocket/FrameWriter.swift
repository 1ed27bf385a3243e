/// The header of a frame to a client, as words ready to be stored (RFC 6455 5.2); servers do not mask (5.1).
public struct FrameWriter: Sendable {
    /// The first eight bytes, the first one lowest.
    public let low: UInt64
    /// The two behind them.
    public let high: UInt16
    /// How many of the ten count.
    public let count: Int

    /// A whole message of at most 64 KiB less one byte; `kind` is the opcode of text or binary.
    @inline(__always)
    public init(whole kind: UInt32, shortPayloadLength length: Int) {
        let first = UInt64(kind) | 0x80
        high = 0
        if length < 126 {
            low = first | UInt64(truncatingIfNeeded: length) << 8
            count = 2
        } else {
            low = first | 126 << 8 | UInt64(UInt16(truncatingIfNeeded: length).byteSwapped) << 16
            count = 4
        }
    }

    /// Bytes of a frame with so many bytes of payload.
    package static func size(payload length: Int) -> Int {
        length &+ (length < 126 ? 2 : length <= 0xFFFF ? 4 : 10)
    }

    /// Bytes of the whole frame of ours that the bytes begin with.
    package static func length(of bytes: UnsafeRawBufferPointer) -> Int {
        let short = unsafe Int(bytes[1])
        if short < 126 { return 2 &+ short }
        if short == 126 {
            return 4 &+ Int(UInt16(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
        }
        let wide = UInt64(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
        return 10 &+ Int(truncatingIfNeeded: wide)
    }

    /// - Parameter isCompressed: RFC 7692 6: RSV1 is set on the first frame of a compressed message.
    @inline(__always)
    public init(_ opcode: Opcode, isFinal: Bool, isCompressed: Bool = false, payloadLength length: Int) {
        let first = UInt64(opcode.rawValue | (isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0))
        if length < 126 {
            low = first | UInt64(truncatingIfNeeded: length) << 8
            high = 0
            count = 2
        } else if length <= 0xFFFF {
            let wire = UInt64(UInt16(truncatingIfNeeded: length).byteSwapped)
            low = first | 126 << 8 | wire << 16
            high = 0
            count = 4
        } else {
            let wire = UInt64(truncatingIfNeeded: length).byteSwapped
            low = first | 127 << 8 | wire << 16
            high = UInt16(truncatingIfNeeded: wire >> 48)
            count = 10
        }
    }
}
