import GatewayTLS

/// A list of authorities that programs of this machine trust.
protocol TrustStore {
    /// Whose list it is.
    var title: String { get }
    /// Where it is.
    var place: String { get }
    /// Why it cannot be changed from here; nil when it can.
    var obstacle: String? { get }
    /// Whether the authority is among them; nil when that cannot be found out from here.
    func holds(_ authority: TrustedAuthority) throws(DevCertFailure) -> Bool?
    func add(_ authority: TrustedAuthority) throws(DevCertFailure)
    func remove(_ authority: TrustedAuthority) throws(DevCertFailure)
}

/// An authority as lists of trust see it: the text of its certificate, and what that is called there.
struct TrustedAuthority {
    /// The file of its certificate.
    let file: String
    let text: [UInt8]
    let tag: String

    init(_ certificate: IssuedCertificate, file: String) throws(DevCertFailure) {
        self.file = file
        text = try DevCertFailure.passingOn { () throws(TLSFailure) in try certificate.text }
        tag = certificate.tag
    }

    /// As a file among the system's, where other users may have theirs.
    var fileName: String { "gateway-dev-ca-\(tag).crt" }
    /// In the databases of browsers.
    var nickname: String { "gateway dev-cert \(tag)" }
}
