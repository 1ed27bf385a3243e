import GatewayConfiguration
package import GatewayIO
import GatewayTLS

/// What is true of every connection that a listener accepts. It travels with the connection to its requests.
package final class ListenerOptions: Sendable {
    /// What stands between such a connection and its socket; nil where bytes go as they are.
    let makeLayer: (@Sendable () -> TransportLayer)?
    /// What the peer says cannot be read on the way: handlers see GW_REQ_TLS.
    let isSecure: Bool
    /// The certificates of a TLS listener, as they were read last.
    let certificates: ListenerCertificates?
    /// What a peer is told that is refused before it has said anything; empty where nothing can be said.
    let refusal: [UInt8]

    /// How many handshakes may be under way; nil where they cost nothing.
    let handshakes: HandshakeLimit?

    package convenience init(isSecure: Bool = false, makeLayer: (@Sendable () -> TransportLayer)? = nil) {
        self.init(isSecure: isSecure, handshakes: nil, makeLayer: makeLayer)
    }

    init(isSecure: Bool, handshakes: HandshakeLimit?, makeLayer: (@Sendable () -> TransportLayer)? = nil) {
        self.isSecure = isSecure
        self.handshakes = handshakes
        self.makeLayer = makeLayer
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
                before?.handshakes ?? HandshakeLimit(tls.handshakeLimit))
        } else {
            self.init()
        }
    }

    init(_ certificates: ListenerCertificates, _ handshakes: HandshakeLimit?) {
        isSecure = true
        self.handshakes = handshakes
        makeLayer = { certificates.context.makeLayer() }
        self.certificates = certificates
        refusal = TLSContext.refusal
    }

    package static let plain = ListenerOptions()
}
