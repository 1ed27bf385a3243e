/// The UUID (version 7) of a connection, for handlers that key state by one.
public struct ConnectionUUID: Sendable, Hashable, CustomStringConvertible {
    /// The 16 bytes as two numbers, most significant first.
    public let high: UInt64
    public let low: UInt64

    typealias Bytes = (
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
    )

    init(_ bytes: Bytes) {
        func number(_ bytes: UInt8...) -> UInt64 {
            bytes.reduce(0) { $0 << 8 | UInt64($1) }
        }
        high = number(bytes.0, bytes.1, bytes.2, bytes.3, bytes.4, bytes.5, bytes.6, bytes.7)
        low = number(bytes.8, bytes.9, bytes.10, bytes.11, bytes.12, bytes.13, bytes.14, bytes.15)
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
