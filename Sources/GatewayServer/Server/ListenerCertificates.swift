package import GatewayConfiguration
import GatewayControl
import GatewayIO
import GatewayTLS

/// The certificates of a TLS listener as its files were when they were read, and what new connections begin with.
package final class ListenerCertificates: Sendable {
    let context: TLSContext
    private let configuration: TLSConfiguration
    private let offersHTTP2: Bool
    private let origin: SourceLocation

    /// Reads the files that the configuration names.
    init(_ tls: TLSConfiguration, http2: Bool, origin: SourceLocation) throws(Trouble) {
        configuration = tls
        offersHTTP2 = http2
        self.origin = origin
        context = try Self.read(tls, http2: http2, origin: origin)
    }

    /// How many handshakes may be under way at once.
    var handshakeLimit: Int { configuration.handshakeLimit }

    /// Reads the same files as they are now.
    func readAgain() throws(Trouble) -> ListenerCertificates {
        try ListenerCertificates(configuration, http2: offersHTTP2, origin: origin)
    }

    /// Where they were read.
    var files: [String] {
        configuration.certificates.flatMap { [$0.file] + [$0.keyFile].compactMap { $0 } }
            + [configuration.clientAuthority?.file].compactMap { $0 }
    }

    /// Why certificates cannot be used, and which line of the configuration names them.
    struct Trouble: Error, CustomStringConvertible {
        let origin: SourceLocation
        let reason: String

        var description: String { "\(origin): \(reason)" }
    }

    private static func read(
        _ tls: TLSConfiguration, http2: Bool, origin: SourceLocation
    ) throws(Trouble) -> TLSContext {
        var certificates: [TLSCertificate] = []
        for certificate in tls.certificates { certificates.append(try read(certificate)) }
        var settings = TLSSettings()
        let versions = tls.versions.compactMap { TLSVersion(rawValue: $0.rawValue) }
        guard let least = versions.min(), let most = versions.max() else {
            throw Trouble(origin: origin, reason: "no version of TLS")
        }
        settings.versions = least...most
        settings.ciphers = tls.ciphers
        settings.offersHTTP2 = http2
        settings.authorities = try tls.clientAuthority.map { each throws(Trouble) in try read(each) }
        return try at(origin) { () throws(TLSFailure) in try TLSContext(certificates, settings) }
    }

    private static func read(_ authority: TLSConfiguration.ClientAuthority) throws(Trouble) -> TLSAuthorities {
        try at(authority.origin) { () throws(TLSFailure) in
            switch authority.demand {
            case .optional: try TLSAuthorities(authority.file, .optional)
            case .required: try TLSAuthorities(authority.file, .required)
            }
        }
    }

    private static func read(_ certificate: TLSConfiguration.Certificate) throws(Trouble) -> TLSCertificate {
        try at(certificate.origin) { () throws(TLSFailure) in
            try TLSCertificate(certificate.file, key: certificate.keyFile)
        }
    }

    /// Names the line that asks for what does not work.
    private static func at<Value>(_ origin: SourceLocation, _ make: () throws(TLSFailure) -> Value) throws(Trouble)
        -> Value
    {
        do throws(TLSFailure) {
            return try make()
        } catch {
            throw Trouble(origin: origin, reason: error.description)
        }
    }

    /// What another reading means for new connections, in words; nil when it means nothing. No certificates are a
    /// listener that speaks no TLS.
    static func difference(from old: ListenerCertificates?, to next: ListenerCertificates?) -> String? {
        switch (old, next) {
        case (nil, nil): nil
        case (nil, _?): "TLS from now on; connections that are there stay as they are"
        case (_?, nil): "no TLS from now on; connections that are there keep theirs"
        case (let old?, let next?):
            if !old.context.hasCertificates(of: next.context) {
                "other certificates"
            } else if !old.context.hasSettings(of: next.context) || old.handshakeLimit != next.handshakeLimit {
                "other settings of TLS"
            } else {
                nil
            }
        }
    }

    // MARK: Checking

    /// What `gateway check` finds out about certificates.
    package struct Findings {
        /// A text for each thing that does not work.
        package fileprivate(set) var troubles: [String] = []
        /// A text for each certificate that ends soon.
        package fileprivate(set) var warnings: [String] = []
    }

    /// Reads what the listeners of a configuration name.
    package static func findings(_ configuration: Configuration) -> Findings {
        var findings = Findings()
        for listener in configuration.listeners {
            guard let tls = listener.tls else { continue }
            let before = findings.troubles.count
            for each in tls.certificates {
                do throws(Trouble) {
                    let found = try read(each)
                    let report = StatusReport.Certificate(
                        name: found.name, file: found.file, listeners: [], expiresAt: found.expiresAt)
                    guard let notice = CertificateExpiry.notice(report, at: Clock.wallSeconds()) else { continue }
                    findings.warnings.append("\(each.origin): warning: \(notice.text)")
                } catch {
                    findings.troubles.append("\(error.origin): error: \(error.reason)")
                }
            }
            // What is wrong with one certificate was said.
            if findings.troubles.count > before { continue }
            do throws(Trouble) {
                _ = try read(tls, http2: listener.speaksHTTP2, origin: listener.origin)
            } catch {
                findings.troubles.append("\(error.origin): error: \(error.reason)")
            }
        }
        return findings
    }
}
