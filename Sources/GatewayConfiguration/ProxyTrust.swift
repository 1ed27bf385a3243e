/// Who may say for whom he connects: what `trusted_proxies` says.
package struct ProxyTrust: Sendable, Equatable {
    /// The header of a request in which proxies say it.
    package enum Header: String, Sendable, CaseIterable {
        /// What nearly all proxies send; the scheme is that of `X-Forwarded-Proto`.
        case xForwardedFor = "x-forwarded-for"
        /// RFC 7239
        case forwarded
        /// They say it in the PROXY header alone.
        case off
    }

    /// Nobody without any.
    package var proxies: [AddressPrefix] = []
    /// `header`
    package var header = Header.xForwardedFor

    package init() {}

    /// Whether a peer is believed; nil is one of a unix socket.
    package func contains(_ peer: NetworkAddress?) -> Bool { proxies.contains { $0.contains(peer) } }
}
