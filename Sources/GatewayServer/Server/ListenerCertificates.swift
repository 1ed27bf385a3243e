package import GatewayConfiguration
import GatewayTLS

/// The certificates of a TLS listener as its files were when they were read, and what new connections begin with.
package final class ListenerCertificates: Sendable {
    let context: TLSContext

    /// Reads the files that the configuration names.
    init(_ tls: TLSConfiguration, origin: SourceLocation) throws(Trouble) {
        context = try Self.read(tls, origin: origin)
    }

    /// Why certificates cannot be used, and which line of the configuration names them.
    struct Trouble: Error, CustomStringConvertible {
        let origin: SourceLocation
        let reason: String

        var description: String { "\(origin): \(reason)" }
    }

    private static func read(_ tls: TLSConfiguration, origin: SourceLocation) throws(Trouble) -> TLSContext {
        var certificates: [TLSCertificate] = []
        for certificate in tls.certificates { certificates.append(try read(certificate)) }
        let versions = tls.versions.compactMap { TLSVersion(rawValue: $0.rawValue) }
        guard let least = versions.min(), let most = versions.max() else {
            throw Trouble(origin: origin, reason: "no version of TLS")
        }
        do throws(TLSFailure) {
            return try TLSContext(certificates, versions: least...most)
        } catch {
            throw Trouble(origin: origin, reason: error.description)
        }
    }

    private static func read(_ certificate: TLSConfiguration.Certificate) throws(Trouble) -> TLSCertificate {
        do throws(TLSFailure) {
            return try TLSCertificate(certificate.file, key: certificate.keyFile)
        } catch {
            throw Trouble(origin: certificate.origin, reason: error.description)
        }
    }

    /// What another reading means for new connections, in words; nil when it means nothing. No certificates are a
    /// listener that speaks no TLS.
    static func difference(from old: ListenerCertificates?, to next: ListenerCertificates?) -> String? {
        switch (old, next) {
        case (nil, nil): nil
        case (nil, _?): "TLS from now on; connections that are there stay as they are"
        case (_?, nil): "no TLS from now on; connections that are there keep theirs"
        case (let old?, let next?): old.context.hasCertificates(of: next.context) ? nil : "other certificates"
        }
    }

    /// What `gateway check` finds out about certificates: a text for each that could not be used.
    package static func troubles(_ configuration: Configuration) -> [String] {
        configuration.listeners.flatMap { $0.tls?.certificates ?? [] }.compactMap { certificate in
            do throws(Trouble) {
                _ = try read(certificate)
                return nil
            } catch {
                return "\(error.origin): error: \(error.reason)"
            }
        }
    }
}
