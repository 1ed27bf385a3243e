/// The shape of nearly every message: one data frame that has come as a whole and is shorter than 64 KiB.
///
/// A short cut past `FrameReader`, whose state it neither needs nor changes; whatever is not of this shape, wrong or
/// not, is left to that. Only good between two messages (`FrameReader.isBetweenMessages`).
public struct WholeFrame {
    /// Longer payloads are not read here.
    public static let longest = 0xFFFF

    /// The opcode: that of text or that of binary data.
    public let kind: UInt8
    /// 6 or 8: that of the same frame from a server is four bytes shorter, since it has no masking key.
    public let headerLength: Int
    public let payloadLength: Int
    private let key: UInt32

    /// Reads the frame at the front of `left` bytes; nil when there is none of this shape, or it is not whole.
    @inline(__always)
    public init?(at start: UnsafeMutableRawPointer, left: Int) {
        guard left >= 6 else { return nil }
        let first = unsafe start.load(as: UInt8.self)
        // RFC 6455 5.2: FIN with opcode 1 or 2 and nothing reserved; the mask bit is above the length.
        guard first &- 0x81 <= 1 else { return nil }
        kind = first & 0x7F
        let second = unsafe start.load(fromByteOffset: 1, as: UInt8.self) ^ 0x80
        if second < 126 {
            headerLength = 6
            payloadLength = Int(second)
            key = unsafe start.loadUnaligned(fromByteOffset: 2, as: UInt32.self)
        } else {
            guard second == 126, left >= 8 else { return nil }
            headerLength = 8
            payloadLength = Int(UInt16(bigEndian: unsafe start.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            key = unsafe start.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
            if payloadLength < 126 { return nil }
        }
        if left &- headerLength < payloadLength { return nil }
    }

    public var isText: Bool { kind == Opcode.text.rawValue }

    public var length: Int { headerLength &+ payloadLength }

    /// Unmasks the payload from `source` to `target`, which is the same place or lies before it.
    ///
    /// - Returns: true when the payload is short and ASCII, which is UTF-8 without asking further.
    @inline(__always)
    public func unmask(from source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer) -> Bool {
        let wide = UInt64(key) << 32 | UInt64(key)
        // Longer ones are looked at by vectors, elsewhere: to do it here would keep these from being some.
        var seen: UInt64 = payloadLength < 32 ? 0 : .max
        var at = 0
        // All four are read before the first is written, since the places may overlap.
        while at &+ 32 <= payloadLength {
            let a = unsafe source.loadUnaligned(fromByteOffset: at, as: UInt64.self) ^ wide
            let b = unsafe source.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self) ^ wide
            let c = unsafe source.loadUnaligned(fromByteOffset: at &+ 16, as: UInt64.self) ^ wide
            let d = unsafe source.loadUnaligned(fromByteOffset: at &+ 24, as: UInt64.self) ^ wide
            unsafe target.storeBytes(of: a, toByteOffset: at, as: UInt64.self)
            unsafe target.storeBytes(of: b, toByteOffset: at &+ 8, as: UInt64.self)
            unsafe target.storeBytes(of: c, toByteOffset: at &+ 16, as: UInt64.self)
            unsafe target.storeBytes(of: d, toByteOffset: at &+ 24, as: UInt64.self)
            at &+= 32
        }
        while at &+ 8 <= payloadLength {
            let bytes = unsafe source.loadUnaligned(fromByteOffset: at, as: UInt64.self) ^ wide
            unsafe target.storeBytes(of: bytes, toByteOffset: at, as: UInt64.self)
            seen |= bytes
            at &+= 8
        }
        if payloadLength & 4 != 0 {
            let bytes = unsafe source.loadUnaligned(fromByteOffset: at, as: UInt32.self) ^ key
            unsafe target.storeBytes(of: bytes, toByteOffset: at, as: UInt32.self)
            seen |= UInt64(bytes)
            at &+= 4
        }
        // The last bytes meet the key's first ones, however many words went before.
        var rest = key.littleEndian
        if payloadLength & 2 != 0 {
            let bytes = unsafe source.loadUnaligned(fromByteOffset: at, as: UInt16.self).littleEndian
            let clear = bytes ^ UInt16(truncatingIfNeeded: rest)
            unsafe target.storeBytes(of: clear.littleEndian, toByteOffset: at, as: UInt16.self)
            seen |= UInt64(clear)
            rest >>= 16
            at &+= 2
        }
        if payloadLength & 1 != 0 {
            let byte = unsafe source.load(fromByteOffset: at, as: UInt8.self) ^ UInt8(truncatingIfNeeded: rest)
            unsafe target.storeBytes(of: byte, toByteOffset: at, as: UInt8.self)
            seen |= UInt64(byte)
        }
        return seen & 0x8080_8080_8080_8080 == 0
    }
}
