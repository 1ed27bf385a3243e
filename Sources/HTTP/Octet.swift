/// Octets by the classes the grammars of HTTP and of URIs know them by.
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

    /// Whether an octet may stand in a token: `tchar` of RFC 9110 5.6.2.
    @inline(__always)
    public static func isToken(_ octet: UInt8) -> Bool {
        isMember(octet, 0x3FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE)
    }

    /// Whether an octet means the same percent-encoded or not: `unreserved` of RFC 3986 2.3.
    @inline(__always)
    static func isUnreserved(_ octet: UInt8) -> Bool {
        isMember(octet, 0x3FF_6000_0000_0000, 0x47FF_FFFE_87FF_FFFE)
    }

    /// Whether an octet may stand in a request target: visible ASCII without `#`, which never goes on the wire.
    ///
    /// Wider than RFC 3986 by the octets that browsers leave bare in a query (`|`, `^`, `{`, `}` and the like).
    @inline(__always)
    static func isTarget(_ octet: UInt8) -> Bool {
        isMember(octet, 0xFFFF_FFF6_0000_0000, 0x7FFF_FFFF_FFFF_FFFF)
    }

    /// Whether an octet is a control of ASCII, with DEL.
    @inline(__always)
    static func isControl(_ octet: UInt8) -> Bool {
        octet < 0x20 || octet == 0x7F
    }

    /// Whether an octet is optional whitespace: `OWS` of RFC 9110 5.6.3.
    @inline(__always)
    public static func isWhitespace(_ octet: UInt8) -> Bool {
        octet == space || octet == tab
    }

    /// Whether an octet is a decimal digit.
    @inline(__always)
    static func isDigit(_ octet: UInt8) -> Bool {
        octet &- 0x30 < 10
    }

    /// The octet in lower case, if it is a letter of ASCII.
    @inline(__always)
    public static func lowercased(_ octet: UInt8) -> UInt8 {
        octet &- 0x41 < 26 ? octet | 0x20 : octet
    }

    /// The value of a hexadecimal digit; nil for anything else.
    @inline(__always)
    static func hexadecimal(_ octet: UInt8) -> UInt8? {
        switch octet {
        case 0x30...0x39: octet &- 0x30
        case 0x41...0x46: octet &- 0x37
        case 0x61...0x66: octet &- 0x57
        default: nil
        }
    }

    /// Looks an octet up in two words of 64 bits, one for each half of ASCII: no table to touch, no bounds to check.
    @inline(__always)
    private static func isMember(_ octet: UInt8, _ low: UInt64, _ high: UInt64) -> Bool {
        let word = octet < 64 ? low : high
        return octet < 128 && (word &>> UInt64(octet & 63)) & 1 == 1
    }
}
