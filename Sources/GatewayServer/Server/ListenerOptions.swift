import GatewayConfiguration
package import GatewayIO
import GatewayTLS

/// What is true of every connection that a listener accepts. It travels with the connection to its requests.
package final class ListenerOptions: Sendable {
    /// Makes what stands between such a connection and its socket, or nothing when there is no memory; nil where bytes go
    /// as they are.
    let makeLayer: (@Sendable () -> TransportLayer?)?
    /// What the peer says cannot be read on the way: handlers see GW_REQ_TLS.
    let isSecure: Bool
    /// Connections begin with a PROXY header.
    let takesProxyHeader: Bool
    /// The certificates of a TLS listener, as they were read last.
    let certificates: ListenerCertificates?
    /// What a peer is told that is refused before it has said anything; empty where nothing can be said.
    let refusal: [UInt8]

    /// How many handshakes may be under way; nil where they cost nothing.
    let handshakes: HandshakeLimit?

    package convenience init(isSecure: Bool = false, makeLayer: (@Sendable () -> TransportLayer?)? = nil) {
        self.init(isSecure: isSecure, handshakes: nil, makeLayer: makeLayer)
    }

    init(isSecure: Bool, handshakes: HandshakeLimit?, makeLayer: (@Sendable () -> TransportLayer?)? = nil) {
        self.isSecure = isSecure
        self.handshakes = handshakes
        self.makeLayer = makeLayer
        takesProxyHeader = false
        certificates = nil
        refusal = []
    }

    /// What a `listen` line asks for, with the files that it names as they are now.
    ///
    /// - Parameter before: those of the listener so far, whose handshakes under way count on.
    convenience init(
        _ listener: ListenerConfiguration, after before: ListenerOptions? = nil
    ) throws(ListenerCertificates.Trouble) {
        if let tls = listener.tls {
            self.init(
                try ListenerCertificates(tls, origin: listener.origin),
                before?.handshakes ?? HandshakeLimit(tls.handshakeLimit), takesProxyHeader: listener.takesProxyHeader)
        } else {
            self.init(nil, nil, takesProxyHeader: listener.takesProxyHeader)
        }
    }

    init(_ certificates: ListenerCertificates?, _ handshakes: HandshakeLimit?, takesProxyHeader: Bool) {
        isSecure = certificates != nil
        self.handshakes = handshakes
        self.takesProxyHeader = takesProxyHeader
        self.certificates = certificates
        refusal = certificates == nil ? [] : TLSContext.refusal
        switch (takesProxyHeader, certificates) {
        case (false, nil): makeLayer = nil
        case (false, let certificates?): makeLayer = { certificates.context.makeLayer() }
        case (true, nil): makeLayer = { ProxyLayer(nil) }
        case (true, let certificates?): makeLayer = { ProxyLayer(certificates.context.makeLayer()) }
        }
    }

    /// The same with other certificates.
    convenience init(_ certificates: ListenerCertificates, after before: ListenerOptions) {
        self.init(certificates, before.handshakes, takesProxyHeader: before.takesProxyHeader)
    }

    /// HTTP can be said to a peer that has said nothing yet.
    var answersAtOnce: Bool { makeLayer == nil || takesProxyHeader && certificates == nil }

    /// What other options mean for new connections, in words; none where they mean nothing.
    func differences(from old: ListenerOptions) -> [String] {
        var said = [ListenerCertificates.difference(from: old.certificates, to: certificates)].compactMap { $0 }
        if takesProxyHeader != old.takesProxyHeader {
            said.append("\(takesProxyHeader ? "PROXY headers" : "no PROXY header") from now on")
        }
        return said
    }

    package static let plain = ListenerOptions()
}
