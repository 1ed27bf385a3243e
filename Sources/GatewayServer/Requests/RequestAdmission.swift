import GatewayConfiguration
import GatewayIO
import HTTP

extension SocketAddress {
    /// The address as a number; nil for a unix socket.
    var number: NetworkAddress? { isUnix ? nil : NetworkAddress(host) }
}

extension AddressList {
    /// Whether a peer may come in; nil is one that has gone already.
    func admits(_ peer: SocketAddress?) -> Bool { peer.map { allows($0.number) } ?? false }
}

extension OriginPolicy {
    /// Whether the page that a handshake comes from may connect.
    func admits(_ head: RequestHead) -> Bool {
        // Programs send none, and that is all that has to be known of them.
        guard head.first("origin") != nil else { return !isRequired }
        let span = head.bytes.span
        let origins = head.fields.filter { span.equals("origin", in: $0.name) }.map { head.bytes[$0.value] }
        return admits(origins, host: head.bytes[head.host ?? 0..<0])
    }
}
