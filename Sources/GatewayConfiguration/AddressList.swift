/// The `allow` and `deny` lines of a block, of which the first that fits decides.
package struct AddressList: Sendable, Equatable {
    package struct Rule: Sendable, Equatable {
        package let allows: Bool
        package let peers: AddressPrefix
    }

    /// In the order of the file. Without any, all are allowed.
    package var rules: [Rule] = [Rule(allows: true, peers: .all)]

    /// The default: all are allowed.
    package init() {}

    /// Nobody is kept out, so that no address has to be looked at.
    package var allowsAll: Bool { rules.first { !$0.allows || $0.peers == .all }.map(\.allows) ?? true }

    /// Whether a peer may come in; nil is one of a unix socket.
    package func allows(_ peer: NetworkAddress?) -> Bool {
        rules.first { $0.peers.contains(peer) }.map(\.allows) ?? true
    }
}
