package import GatewayIO

/// What is true of every connection that a listener accepts. It travels with the connection to its requests.
package final class ListenerOptions: Sendable {
    /// What stands between such a connection and its socket; nil where bytes go as they are.
    let makeLayer: (@Sendable () -> TransportLayer)?
    /// What the peer says cannot be read on the way: handlers see GW_REQ_TLS.
    let isSecure: Bool

    package init(isSecure: Bool = false, makeLayer: (@Sendable () -> TransportLayer)? = nil) {
        self.isSecure = isSecure
        self.makeLayer = makeLayer
    }

    package static let plain = ListenerOptions()
}
