/// A set of peers: those of a network, of unix sockets, or all.
package enum AddressPrefix: Sendable, Equatable, CustomStringConvertible {
    case all
    /// Peers of a unix socket, which have no address.
    case unix
    /// The addresses whose first bits are these; the others are 0.
    case network(NetworkAddress, bits: Int)

    /// Why a word names no peers; the text is the sentence for the operator.
    package struct Failure: Error, Sendable {
        /// What is wrong, as it follows the quoted word.
        package let sentence: String
    }

    /// The forms, for messages.
    package static let forms = "10.0.0.0/8, 192.168.1.7, 2001:db8::/32, unix: or all"

    /// Reads `ADDRESS`, `ADDRESS/BITS`, `unix:` or `all`.
    package init(_ text: String) throws(Failure) {
        if text == "all" {
            self = .all
            return
        }
        if text == "unix:" {
            self = .unix
            return
        }
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
        guard let address = NetworkAddress(parts[0]) else {
            throw Failure(sentence: "is no numeric address or network (\(Self.forms))")
        }
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
        let isShort = address.ipv4 != nil && !parts[0].utf8.contains(UInt8(ascii: ":"))
        var bits = 128
        if parts.count == 2 {
            let most = isShort ? 32 : 128
            guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(parts[1]), number <= most
            else { throw Failure(sentence: "does not end in a number of bits from 0 to \(most)") }
            bits = number + (isShort ? 96 : 0)
        }
        self = .network(Self.masked(address, bits), bits: bits)
        guard self.description == text || Self.masked(address, bits) == address else {
            throw Failure(sentence: "has bits set behind its first \(parts[1]) (did you mean \"\(self)\"?)")
        }
    }

    private static func masked(_ address: NetworkAddress, _ bits: Int) -> NetworkAddress {
        func mask(_ count: Int) -> UInt64 { count <= 0 ? 0 : ~0 << UInt64(64 - min(count, 64)) }
        return NetworkAddress(high: address.high & mask(bits), low: address.low & mask(bits - 64))
    }

    /// Whether a peer belongs to it; nil is a peer of a unix socket.
    package func contains(_ peer: NetworkAddress?) -> Bool {
        switch self {
        case .all: true
        case .unix: peer == nil
        case .network(let address, let bits): peer.map { Self.masked($0, bits) == address } ?? false
        }
    }

    package var description: String {
        switch self {
        case .all: return "all"
        case .unix: return "unix:"
        case .network(let address, let bits):
            // 0.0.0.0/0 is not ::/0: it has the 96 bits in front that all of IPv4 has.
            let isIPv4 = address.ipv4 != nil && bits >= 96
            let shown = isIPv4 ? bits - 96 : bits
            return bits == 128 ? "\(address)" : "\(address)/\(shown)"
        }
    }
}
