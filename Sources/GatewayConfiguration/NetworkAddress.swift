import Glibc

/// An IPv6 address, or an IPv4 one in the form that IPv6 has for it, so that the two compare.
package struct NetworkAddress: Sendable, Hashable, CustomStringConvertible {
    /// The first eight bytes, in the order of numbers.
    package let high: UInt64
    /// The last eight bytes.
    package let low: UInt64

    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// RFC 4291 2.5.5.2: what stands before the four bytes of an IPv4 address.
    private static let mapped: UInt64 = 0xFFFF_0000_0000

    /// An IPv4 address as a number.
    package init(ipv4 number: UInt32) { self.init(high: 0, low: Self.mapped | UInt64(number)) }

    /// Reads a numeric address without brackets, port or zone.
    package init?(_ text: String) {
        // A zone means something on one machine only; and what is longer is no address.
        guard text.utf8.count < Int(INET6_ADDRSTRLEN), !text.utf8.contains(0) else { return nil }
        let isIPv6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
        let result = unsafe bytes.withUnsafeMutableBytes { room in
            unsafe inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, room.baseAddress)
        }
        guard result == 1 else { return nil }
        self.init(bytes)
    }

    /// 4 or 16 bytes in network order; nil for anything else.
    package init?(_ bytes: [UInt8]) {
        func number(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4: self.init(ipv4: UInt32(truncatingIfNeeded: number(bytes[...])))
        case 16: self.init(high: number(bytes[..<8]), low: number(bytes[8...]))
        default: return nil
        }
    }

    /// The address as a number where it is an IPv4 one.
    package var ipv4: UInt32? {
        high == 0 && low >> 32 == Self.mapped >> 32 ? UInt32(truncatingIfNeeded: low) : nil
    }

    /// What one peer is given: all of an IPv4 address, and of an IPv6 one the network that is a subscriber's (RFC 6177), in
    /// which he can choose as many addresses as he likes.
    package var subscriber: NetworkAddress { ipv4 == nil ? NetworkAddress(high: high, low: 0) : self }

    /// In the form of RFC 5952, IPv4 as four numbers.
    package var description: String {
        func bytes(_ number: UInt64) -> [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
        }
        let isIPv4 = ipv4 != nil
        let source = isIPv4 ? Array(bytes(low).suffix(4)) : bytes(high) + bytes(low)
        var room = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let result = unsafe source.withUnsafeBytes { source in
            unsafe inet_ntop(isIPv4 ? AF_INET : AF_INET6, source.baseAddress, &room, socklen_t(room.count))
        }
        guard unsafe result != nil else { return "?" }
        return String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
