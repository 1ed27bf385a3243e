/// The UUID (version 7) of a connection, for handlers that key state by one.
public struct ConnectionUUID: Sendable, Hashable, CustomStringConvertible {
    /// The 16 octets as two numbers, most significant first.
    public let high: UInt64
    public let low: UInt64

    typealias Octets = (
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
    )

    init(_ octets: Octets) {
        func number(_ octets: UInt8...) -> UInt64 {
            octets.reduce(0) { $0 << 8 | UInt64($1) }
        }
        high = number(octets.0, octets.1, octets.2, octets.3, octets.4, octets.5, octets.6, octets.7)
        low = number(octets.8, octets.9, octets.10, octets.11, octets.12, octets.13, octets.14, octets.15)
    }

    /// As RFC 9562 writes it: 8-4-4-4-12 digits in lower case.
    public var description: String {
        var text = ""
        for place in 0..<32 {
            if place == 8 || place == 12 || place == 16 || place == 20 { text.append("-") }
            let half = place < 16 ? high : low
            let digit = (half >> UInt64(60 - 4 * (place % 16))) & 0xF
            text += String(digit, radix: 16)
        }
        return text
    }
}
