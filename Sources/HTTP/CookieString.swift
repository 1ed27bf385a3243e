/// Look-ups in the value of a Cookie header (RFC 6265 4.2).
public enum CookieString {
    /// The percent-decoded value of the first cookie called `name`, case-sensitive; nil if there is none.
    ///
    /// A pair of double quotes around the value is its envelope (RFC 6265 4.1.1) and is left out.
    public static func value(of name: Span<UInt8>, in bytes: Span<UInt8>, _ header: Range<Int>) -> [UInt8]? {
        var start = header.lowerBound
        while start < header.upperBound {
            let end = bytes.firstIndex(of: Octet.semicolon, in: start..<header.upperBound) ?? header.upperBound
            if let equals = bytes.firstIndex(of: 0x3D, in: start..<end),
                bytes.equals(name, in: bytes.trimmingWhitespace(start..<equals))
            {
                var value = bytes.trimmingWhitespace(equals + 1..<end)
                if value.count >= 2, bytes[value.lowerBound] == Octet.quote,
                    bytes[value.upperBound - 1] == Octet.quote
                {
                    value = value.lowerBound + 1..<value.upperBound - 1
                }
                return PercentEncoding.decode(bytes, in: value)
            }
            start = end + 1
        }
        return nil
    }
}
