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

    /// How many streams a connection of HTTP/2 may have; nil where none is spoken.
    let maxStreams: Int?

    package convenience init(
        isSecure: Bool = false, maxStreams: Int? = nil, makeLayer: (@Sendable () -> TransportLayer?)? = nil
    ) {
        self.init(isSecure: isSecure, maxStreams: maxStreams, handshakes: nil, makeLayer: makeLayer)
    }

    init(
        isSecure: Bool, maxStreams: Int? = nil, handshakes: HandshakeLimit?,
        makeLayer: (@Sendable () -> TransportLayer?)? = nil
    ) {
        self.isSecure = isSecure
        self.maxStreams = maxStreams
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
        let maxStreams = listener.speaksHTTP2 ? listener.maxStreams : nil
        if let tls = listener.tls {
            self.init(
                try ListenerCertificates(tls, http2: listener.speaksHTTP2, origin: listener.origin),
                before?.handshakes ?? HandshakeLimit(tls.handshakeLimit), maxStreams: maxStreams,
                takesProxyHeader: listener.takesProxyHeader)
        } else {
            self.init(nil, nil, maxStreams: maxStreams, takesProxyHeader: listener.takesProxyHeader)
        }
    }

    init(
        _ certificates: ListenerCertificates?, _ handshakes: HandshakeLimit?, maxStreams: Int?, takesProxyHeader: Bool
    ) {
        isSecure = certificates != nil
        self.maxStreams = maxStreams
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
        self.init(
            certificates, before.handshakes, maxStreams: before.maxStreams, takesProxyHeader: before.takesProxyHeader)
    }

    /// As where a `listen` line has no block.
    var isPlain: Bool { certificates == nil && !takesProxyHeader && maxStreams == nil }

    /// HTTP can be said to a peer that has said nothing yet.
    var answersAtOnce: Bool { makeLayer == nil || takesProxyHeader && certificates == nil }

    /// What other options mean for new connections, in words; none where they mean nothing.
    func differences(from old: ListenerOptions) -> [String] {
        var said = [ListenerCertificates.difference(from: old.certificates, to: certificates)].compactMap { $0 }
        if takesProxyHeader != old.takesProxyHeader {
            said.append("\(takesProxyHeader ? "PROXY headers" : "no PROXY header") from now on")
        }
        switch (maxStreams, old.maxStreams) {
        case (let now?, let then?) where now != then: said.append("max_streams \(now) from now on")
        case (_?, nil): said.append("HTTP/2 from now on")
        case (nil, _?): said.append("no HTTP/2 from now on; connections that speak it go on")
        default: break
        }
        return said
    }

    package static let plain = ListenerOptions()
}
