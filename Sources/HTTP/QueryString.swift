/// Look-ups in the query of a target, which is `key=value` pairs by custom and not by any RFC of HTTP.
public enum QueryString {
    /// The decoded value of the first pair with `key`; empty if the key has no `=`, nil if it is not there.
    ///
    /// `+` is a space. A malformed escape stands for itself: a query is data, nothing is decided by it.
    public static func value(of key: Span<UInt8>, in bytes: Span<UInt8>, _ query: Range<Int>) -> [UInt8]? {
        var start = query.lowerBound
        while start <= query.upperBound {
            let end = bytes.firstIndex(of: 0x26, in: start..<query.upperBound) ?? query.upperBound
            let equals = bytes.firstIndex(of: 0x3D, in: start..<end)
            // Nothing between two ampersands is no pair, not one with an empty key.
            if start < end,
                PercentEncoding.equals(bytes, in: start..<(equals ?? end), plusIsSpace: true, key)
            {
                guard let equals else { return [] }
                return PercentEncoding.decode(bytes, in: equals + 1..<end, plusIsSpace: true)
            }
            start = end + 1
        }
        return nil
    }
}
