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

    package init(isSecure: Bool = false, makeLayer: (@Sendable () -> TransportLayer)? = nil) {
        self.isSecure = isSecure
        self.makeLayer = makeLayer
        certificates = nil
        refusal = []
    }

    /// What a `listen` line asks for, with the files that it names as they are now.
    convenience init(_ listener: ListenerConfiguration) throws(ListenerCertificates.Trouble) {
        if let tls = listener.tls {
            self.init(try ListenerCertificates(tls, origin: listener.origin))
        } else {
            self.init()
        }
    }

    init(_ certificates: ListenerCertificates) {
        isSecure = true
        makeLayer = { certificates.context.makeLayer() }
        self.certificates = certificates
        refusal = TLSContext.refusal
    }

    package static let plain = ListenerOptions()
}
