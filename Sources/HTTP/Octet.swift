/// Bytes by the classes the grammars of HTTP and of URIs know them by.
public enum Octet {
    public static let tab: UInt8 = 0x09
    public static let lineFeed: UInt8 = 0x0A
    public static let carriageReturn: UInt8 = 0x0D
    public static let space: UInt8 = 0x20
    public static let quote: UInt8 = 0x22
    public static let percent: UInt8 = 0x25
    public static let comma: UInt8 = 0x2C
    public static let dot: UInt8 = 0x2E
    public static let slash: UInt8 = 0x2F
    public static let colon: UInt8 = 0x3A
    public static let semicolon: UInt8 = 0x3B

    /// Whether a byte may stand in a token: `tchar` of RFC 9110 5.6.2.
    @inline(__always)
    public static func isToken(_ byte: UInt8) -> Bool {
        isMember(byte, 0x3FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE)
    }

    /// Whether a byte means the same percent-encoded or not: `unreserved` of RFC 3986 2.3.
    @inline(__always)
    static func isUnreserved(_ byte: UInt8) -> Bool {
        isMember(byte, 0x3FF_6000_0000_0000, 0x47FF_FFFE_87FF_FFFE)
    }

    /// Whether a byte may stand in a request target: visible ASCII without `#`, which never goes on the wire.
    ///
    /// Wider than RFC 3986 by the bytes that browsers leave bare in a query (`|`, `^`, `{`, `}` and the like).
    @inline(__always)
    static func isTarget(_ byte: UInt8) -> Bool {
        isMember(byte, 0xFFFF_FFF6_0000_0000, 0x7FFF_FFFF_FFFF_FFFF)
    }

    /// Whether a byte is a control of ASCII, with DEL.
    @inline(__always)
    static func isControl(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == 0x7F
    }

    /// Whether a byte is optional whitespace: `OWS` of RFC 9110 5.6.3.
    @inline(__always)
    public static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == space || byte == tab
    }

    /// Whether a byte is a decimal digit.
    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10
    }

    /// The byte in lower case, if it is a letter of ASCII.
    @inline(__always)
    public static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    /// The value of a hexadecimal digit; nil for anything else.
    @inline(__always)
    static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte &- 0x30
        case 0x41...0x46: byte &- 0x37
        case 0x61...0x66: byte &- 0x57
        default: nil
        }
    }

    /// Looks a byte up in two words of 64 bits, one for each half of ASCII: no table to touch, no bounds to check.
    @inline(__always)
    private static func isMember(_ byte: UInt8, _ low: UInt64, _ high: UInt64) -> Bool {
        let word = byte < 64 ? low : high
        return byte < 128 && (word &>> UInt64(byte & 63)) & 1 == 1
    }
}
