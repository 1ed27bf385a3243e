import GatewayTLS
import Glibc

/// The certificate and the key that `gateway dev-cert` writes into the folder it is called in.
struct CertificateFiles {
    static let certificate = WrittenFile(path: "dev-cert.pem")
    static let key = WrittenFile(path: "dev-key.pem")

    /// What is there; both were made by this command, or are not there.
    let current: IssuedCertificate?
    private let currentKey: CertificateKey?

    /// A certificate with fewer days is made anew.
    private static let leastDays = 30
    private static let always = ["localhost", "127.0.0.1", "::1"].compactMap { try? CertificateName($0) }

    /// Looks at what is there; throws when that is not this command's.
    init() throws(DevCertFailure) {
        let (text, keyText) = (try Self.certificate.read(), try Self.key.read())
        current = text.flatMap { IssuedCertificate($0) }
        currentKey = keyText.flatMap { CertificateKey($0) }
        guard text == nil || current?.isOfDevelopment == true else {
            throw DevCertFailure(
                "\(Self.certificate.path) is here already, and `gateway dev-cert` did not make it.\n"
                    + "   It is left alone: move it away, or call this in another folder.")
        }
        if keyText == nil { return }
        guard let current, let currentKey, current.belongs(to: currentKey) else {
            throw DevCertFailure(
                "\(Self.key.path) is here already, and is not the key of a \(Self.certificate.path) of this command.\n"
                    + "   It is left alone: move it away, or call this in another folder.")
        }
    }

    /// What became of the files.
    enum Outcome: Equatable {
        case kept, made, renewed
    }

    /// Sees to it that there is a certificate for these names, and for those it had, that is good for a while.
    func update(
        _ names: [CertificateName], by authority: CertificateAuthority
    ) throws(DevCertFailure) -> (IssuedCertificate, Outcome) {
        let wanted = Self.always + names
        if let current, currentKey != nil, current.isSigned(by: authority), current.daysLeft >= Self.leastDays,
            wanted.allSatisfy({ current.covers($0) })
        {
            return (current, .kept)
        }
        var all = wanted
        all += current?.names ?? []
        var seen: Set<CertificateName> = []
        all.removeAll { !seen.insert($0).inserted }
        // The key stays, so that a gateway that reads the files at this moment finds a pair.
        let key: CertificateKey
        if let currentKey {
            key = currentKey
        } else {
            key = try DevCertFailure.passingOn { () throws(TLSFailure) in try CertificateKey() }
        }
        let issued = try DevCertFailure.passingOn { () throws(TLSFailure) in try authority.issue(for: all, to: key) }
        let text = try DevCertFailure.passingOn { () throws(TLSFailure) in try issued.text }
        if currentKey == nil {
            let keyText = try DevCertFailure.passingOn { () throws(TLSFailure) in try key.text }
            try Self.key.create(keyText, mode: 0o600)
        }
        do throws(DevCertFailure) {
            if current == nil {
                try Self.certificate.create(text, mode: 0o644)
            } else {
                try Self.certificate.replace(text, mode: 0o644)
            }
        } catch {
            if currentKey == nil { _ = try Self.key.remove() }
            throw error
        }
        return (issued, current == nil ? .made : .renewed)
    }

    /// Takes away what is there; the paths of it.
    func remove() throws(DevCertFailure) -> [String] {
        var removed: [String] = []
        if currentKey != nil, try Self.key.remove() { removed.append(Self.key.path) }
        if current != nil, try Self.certificate.remove() { removed.append(Self.certificate.path) }
        return removed
    }
}
