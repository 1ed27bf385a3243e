package import GatewayConfiguration
import GatewayTLS
import Synchronization

/// The TLS of a listener: what new connections begin with, which a reload replaces under those that are there.
package final class ListenerCertificates: Sendable {
    private let current: Mutex<TLSContext>

    init(_ context: TLSContext) { current = Mutex(context) }

    var context: TLSContext { current.withLock { $0 } }

    /// For connections from now on.
    func replace(by next: TLSContext) { current.withLock { $0 = next } }

    /// Why certificates cannot be used, and which line of the configuration names them.
    struct Trouble: Error, CustomStringConvertible {
        let origin: SourceLocation
        let reason: String

        var description: String { "\(origin): \(reason)" }
    }

    /// Reads the files that the configuration names.
    static func read(_ tls: TLSConfiguration, origin: SourceLocation) throws(Trouble) -> TLSContext {
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
