package import GatewayIO
import GatewayTLS

/// What is true of every connection that a listener accepts. It travels with the connection to its requests.
package final class ListenerOptions: Sendable {
    /// What stands between such a connection and its socket; nil where bytes go as they are.
    let makeLayer: (@Sendable () -> TransportLayer)?
    /// What the peer says cannot be read on the way: handlers see GW_REQ_TLS.
    let isSecure: Bool
    /// The certificates of a TLS listener, which change while it listens.
    let certificates: ListenerCertificates?

    package init(isSecure: Bool = false, makeLayer: (@Sendable () -> TransportLayer)? = nil) {
        self.isSecure = isSecure
        self.makeLayer = makeLayer
        certificates = nil
    }

    init(_ certificates: ListenerCertificates) {
        isSecure = true
        makeLayer = { certificates.context.makeLayer() }
        self.certificates = certificates
    }

    package static let plain = ListenerOptions()
}
