import GatewayConfiguration
import GatewayIO
import HTTP

/// For whom a proxy that is believed has asked.
struct ForwardedPeer: Equatable {
    let address: SocketAddress
    /// Nobody on the way to the first proxy could read along.
    let isSecure: Bool
}

extension ProxyTrust {
    func contains(_ peer: SocketAddress?) -> Bool { peer.map { contains($0.number) } ?? false }

    /// Who has asked, by what proxies say of it; nil where nobody who is believed says anything.
    ///
    /// Each proxy writes down who asked it behind what it was told. So the list is walked from its end, past proxies that
    /// are believed themselves: the first that is none is the one who has asked, and what stands before it is hearsay. What
    /// is no address ends the walk: then all that is known is who wrote it down.
    func forwarded(_ head: RequestHead, from peer: SocketAddress?) -> ForwardedPeer? {
        guard let peer, header != .off, contains(peer) else { return nil }
        switch header {
        case .off: return nil
        case .xForwardedFor:
            var address = peer
            for element in Array(head.elements(of: "x-forwarded-for")).reversed() {
                guard contains(address), let next = SocketAddress(node: head.bytes[element]) else { break }
                address = next
            }
            return ForwardedPeer(address: address, isSecure: Self.isSecure(head))
        case .forwarded:
            var (address, scheme): (SocketAddress, [UInt8]) = (peer, [])
            for range in Array(head.elements(of: "forwarded")).reversed() {
                guard contains(address), let element = ForwardedElement(head.bytes[range]),
                    let next = element.node.flatMap({ SocketAddress(node: $0[...]) })
                else { break }
                (address, scheme) = (next, element.scheme ?? [])
            }
            return ForwardedPeer(address: address, isSecure: Self.isSecure(scheme[...]))
        }
    }

    /// Where several proxies say something of the scheme, all of them have to say the same.
    private static func isSecure(_ head: RequestHead) -> Bool {
        let schemes = Array(head.elements(of: "x-forwarded-proto"))
        return !schemes.isEmpty && schemes.allSatisfy { isSecure(head.bytes[$0]) }
    }

    private static func isSecure(_ scheme: ArraySlice<UInt8>) -> Bool {
        let name = scheme.map(Octet.lowercased)
        // Some proxies say wss of a WebSocket.
        return name.elementsEqual("https".utf8) || name.elementsEqual("wss".utf8)
    }
}

extension SocketAddress {
    /// Reads an address as proxies write it, with or without brackets and port (RFC 7239 6); nil for anything else, such as
    /// `unknown`.
    init?(node: ArraySlice<UInt8>) {
        // The longest address has 45 characters.
        guard node.count <= 60 else { return nil }
        var host = node
        var port: UInt16 = 0
        if node.first == UInt8(ascii: "[") {
            guard let close = node.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = node[(node.startIndex + 1)..<close]
            guard host.contains(Octet.colon), let number = Self.port(node[(close + 1)...]) else { return nil }
            port = number
        } else if node.count(where: { $0 == Octet.colon }) == 1, let colon = node.firstIndex(of: Octet.colon) {
            host = node[..<colon]
            guard let number = Self.port(node[colon...]) else { return nil }
            port = number
        }
        guard let address = NetworkAddress(String(decoding: host, as: UTF8.self)) else { return nil }
        self.init(host: address.description, port: port)
    }

    /// What stands behind an address: nothing, or a colon and a port.
    private static func port(_ text: ArraySlice<UInt8>) -> UInt16? {
        guard let colon = text.first else { return 0 }
        let digits = text.dropFirst()
        guard colon == Octet.colon, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt16(String(decoding: digits, as: UTF8.self))
    }
}

extension Connection {
    /// The address of the peer: that of its socket, unless a proxy that is believed has said otherwise. nil when the
    /// peer has gone already.
    var peerAddress: SocketAddress? {
        if let rareState, let told = rareState.forwarded?.address ?? rareState.announced { return told }
        return transport.peerAddress
    }
}
