/// Percent-encoding of RFC 3986 2.1, and the plus sign of forms.
public enum PercentEncoding {
    static let digits: InlineArray<16, UInt8> = [
        0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46,
    ]

    /// The byte that the escape at `position` stands for; nil if no whole and valid escape is there.
    @inline(__always)
    static func byte(_ bytes: Span<UInt8>, at position: Int, before end: Int) -> UInt8? {
        guard bytes[position] == Octet.percent, position + 2 < end,
            let high = Octet.hexadecimal(bytes[position + 1]),
            let low = Octet.hexadecimal(bytes[position + 2])
        else { return nil }
        return high << 4 | low
    }

    /// The bytes in `range` decoded; a percent sign that begins no escape stands for itself.
    public static func decode(_ bytes: Span<UInt8>, in range: Range<Int>, plusIsSpace: Bool = false) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(range.count)
        var position = range.lowerBound
        while position < range.upperBound {
            decoded.append(next(bytes, &position, before: range.upperBound, plusIsSpace))
        }
        return decoded
    }

    /// Whether the bytes in `range`, decoded, are those of `text`; allocates nothing.
    static func equals(_ bytes: Span<UInt8>, in range: Range<Int>, plusIsSpace: Bool, _ text: Span<UInt8>) -> Bool {
        var position = range.lowerBound
        var matched = 0
        while position < range.upperBound {
            guard matched < text.count else { return false }
            let byte = next(bytes, &position, before: range.upperBound, plusIsSpace)
            guard byte == text[matched] else { return false }
            matched += 1
        }
        return matched == text.count
    }

    private static func next(_ bytes: Span<UInt8>, _ position: inout Int, before end: Int, _ plusIsSpace: Bool)
        -> UInt8
    {
        if let byte = byte(bytes, at: position, before: end) {
            position += 3
            return byte
        }
        let byte = bytes[position]
        position += 1
        return plusIsSpace && byte == 0x2B ? Octet.space : byte
    }
}
