/// The header in which a proxy says for whom it has connected, in front of everything else (HAProxy's PROXY protocol,
/// versions 1 and 2), taken in as it arrives.
struct ProxyHeader {
    /// Why a peer's first bytes are no such header.
    enum Failure: Error, Equatable, CustomStringConvertible {
        case missing
        case tooLong
        case malformed(String)

        var description: String {
            switch self {
            case .missing: "there is no PROXY header in front"
            case .tooLong: "the PROXY header is too long"
            case .malformed(let what): "the PROXY header has \(what)"
            }
        }
    }

    /// Proxies add what they like behind the addresses of version 2, certificates of clients for one; none needs more.
    static let mostBytes = 4096
    /// Of version 1, by its specification, line end included.
    static let mostText = 107

    private static let binarySignature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]
    private static let textSignature = Array("PROXY ".utf8)
    /// Of version 2: what says how much follows.
    private static let front = 16

    private var bytes: [UInt8] = []
    private(set) var isWhole = false
    /// Some of it has come.
    var hasBegun: Bool { !bytes.isEmpty }
    /// For whom the proxy has connected; nil where it did so for itself, or does not know.
    private(set) var peer: SocketAddress?

    /// Takes bytes in, as far as they belong to the header.
    ///
    /// - Returns: how many did.
    mutating func take(_ arrived: [UInt8]) throws(Failure) -> Int {
        for index in arrived.indices {
            if isWhole { return index }
            bytes.append(arrived[index])
            try look()
        }
        return arrived.count
    }

    private mutating func look() throws(Failure) {
        if bytes[0] == Self.binarySignature[0] {
            guard bytes.prefix(12).elementsEqual(Self.binarySignature.prefix(bytes.count)) else { throw .missing }
            if bytes.count >= Self.front { try lookAtBinary() }
        } else {
            guard bytes.prefix(6).elementsEqual(Self.textSignature.prefix(bytes.count)) else { throw .missing }
            if bytes.last == 0x0A {
                try readText()
                isWhole = true
            } else if bytes.count >= Self.mostText {
                throw .tooLong
            }
        }
        if isWhole { bytes = [] }
    }

    // MARK: Version 2

    private mutating func lookAtBinary() throws(Failure) {
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard Self.front + length <= Self.mostBytes else { throw .tooLong }
        guard bytes[12] >> 4 == 2 else { throw .malformed("version \(bytes[12] >> 4)") }
        guard bytes[12] & 15 <= 1 else { throw .malformed("command \(bytes[12] & 15)") }
        guard bytes.count == Self.front + length else { return }
        // LOCAL: the proxy connects for itself, to see whether we are here.
        if bytes[12] & 15 == 1 { try readAddresses() }
        isWhole = true
    }

    private mutating func readAddresses() throws(Failure) {
        // Family, and transport: 1 for a stream.
        switch bytes[13] {
        case 0x00: return
        case 0x11: peer = try address(bytes: 4)
        case 0x21: peer = try address(bytes: 16)
        // Two paths of unix sockets, which say nothing about the peer of the proxy that we could use.
        case 0x31: guard bytes.count >= Self.front + 216 else { throw .malformed("too few bytes of addresses") }
        case let other: throw .malformed("the family and transport \(other)")
        }
    }

    /// The first of two addresses, and the first of two ports behind them.
    private func address(bytes count: Int) throws(Failure) -> SocketAddress {
        let ports = Self.front + 2 * count
        guard bytes.count >= ports + 4 else { throw .malformed("too few bytes of addresses") }
        let port = UInt16(bytes[ports]) << 8 | UInt16(bytes[ports + 1])
        guard let address = SocketAddress(bytes: Array(bytes[Self.front..<(Self.front + count)]), port: port) else {
            throw .malformed("an address that is none")
        }
        return address
    }

    // MARK: Version 1

    private mutating func readText() throws(Failure) {
        guard bytes.count >= 2, bytes[bytes.count - 2] == 0x0D else { throw .malformed("a line end without CR") }
        let words = bytes.dropLast(2).split(separator: 0x20, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        // What may follow it has no meaning.
        if words.count >= 2, words[1] == "UNKNOWN" { return }
        guard words.count == 6, words[1] == "TCP4" || words[1] == "TCP6" else {
            throw .malformed("a line of another form")
        }
        let isIPv6 = words[1] == "TCP6"
        guard let source = SocketAddress(numeric: words[2], isIPv6: isIPv6, port: try port(words[4])),
            SocketAddress(numeric: words[3], isIPv6: isIPv6, port: try port(words[5])) != nil
        else { throw .malformed("an address that is none") }
        peer = source
    }

    private func port(_ text: String) throws(Failure) -> UInt16 {
        let isNumber = text.utf8.allSatisfy { (0x30...0x39).contains($0) } && (text == "0" || text.utf8.first != 0x30)
        guard isNumber, let port = UInt16(text) else { throw .malformed("a port that is none") }
        return port
    }
}
