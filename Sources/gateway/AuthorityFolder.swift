import GatewayIO
import GatewayTLS
import Glibc

/// The folder in which the authority of `gateway dev-cert` lives, closed to others; one command at a time works there.
struct AuthorityFolder: ~Copyable {
    let path: String
    private let lock: FileDescriptor

    /// The certificate, which is for everybody to trust.
    var certificate: WrittenFile { WrittenFile(path: "\(path)/dev-ca.pem") }
    private var key: WrittenFile { WrittenFile(path: "\(path)/dev-ca-key.pem") }

    /// Where it is, there or not.
    static func place() throws(DevCertFailure) -> String { "\(try HomeFolder.data())/gateway" }

    private init(_ path: String, lock: consuming FileDescriptor) {
        self.path = path
        self.lock = lock
    }

    /// Opens it; nil when it is not there and shall not be made.
    static func open(making: Bool) throws(DevCertFailure) -> AuthorityFolder? {
        let path = try place()
        if making { try make(path) }
        let folder = FileDescriptor(adopting: unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard folder.number >= 0 else {
            if errno == ENOENT, !making { return nil }
            throw DevCertFailure("cannot open the folder \(path): \(Errno.last)")
        }
        var status = stat()
        guard unsafe fstat(folder.number, &status) == 0, status.st_uid == geteuid() else {
            throw DevCertFailure("the folder \(path) belongs to another user: run this as that one, or set HOME")
        }
        // Whoever could read the key there could be any server for this user.
        guard status.st_mode & 0o077 == 0 || fchmod(folder.number, 0o700) == 0 else {
            throw DevCertFailure("cannot close the folder \(path) to others: \(Errno.last)")
        }
        guard flock(folder.number, LOCK_EX) == 0 else {
            throw DevCertFailure("cannot lock the folder \(path): \(Errno.last)")
        }
        return AuthorityFolder(path, lock: folder)
    }

    private static func make(_ path: String) throws(DevCertFailure) {
        let names = path.split(separator: "/")
        for depth in names.indices {
            let folder = "/" + names[...depth].joined(separator: "/")
            if unsafe mkdir(folder, 0o700) == 0 || errno == EEXIST { continue }
            throw DevCertFailure("cannot make the folder \(folder): \(Errno.last)")
        }
    }

    /// The certificate that clients were told to trust; nil when there is none.
    func trusted() throws(DevCertFailure) -> IssuedCertificate? {
        guard let text = try certificate.read() else { return nil }
        guard let found = IssuedCertificate(text) else {
            throw DevCertFailure("there is no certificate in \(certificate.path): remove the folder \(path)")
        }
        return found
    }

    /// The authority, and whether it was made just now.
    func authority() throws(DevCertFailure) -> (CertificateAuthority, isNew: Bool) {
        guard let found = try trusted() else { return (try makeAuthority(), true) }
        guard let text = try key.read(), let key = CertificateKey(text) else { throw unusable("has no key any more") }
        guard found.belongs(to: key) else { throw unusable("has a key that is not its own") }
        let authority = CertificateAuthority(found, key: key)
        guard authority.isFresh else { throw unusable("expires on \(found.lastDay)") }
        return (authority, false)
    }

    private func makeAuthority() throws(DevCertFailure) -> CertificateAuthority {
        var host = [CChar](repeating: 0, count: 256)
        _ = unsafe gethostname(&host, host.count - 1)
        let machine = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let user = unsafe getpwuid(geteuid()).flatMap { unsafe $0.pointee.pw_name }.map { unsafe String(cString: $0) }
        let owner = "\(user ?? String(geteuid()))@\(machine)"
        let made = try DevCertFailure.passingOn { () throws(TLSFailure) in try CertificateAuthority(of: owner) }
        let keyText = try DevCertFailure.passingOn { () throws(TLSFailure) in try made.keyText }
        let text = try DevCertFailure.passingOn { () throws(TLSFailure) in try made.certificate.text }
        // The certificate comes last: without it there is no authority, whatever else was written.
        try key.replace(keyText, mode: 0o600)
        try certificate.replace(text, mode: 0o644)
        return made
    }

    private func unusable(_ reason: String) -> DevCertFailure {
        DevCertFailure(
            "the authority in \(path) \(reason).\n"
                + "   `gateway dev-cert --remove` takes it away, and the next `gateway dev-cert` makes another one.")
    }

    /// Takes the key away, after which nobody can issue anything more; false when there was none.
    func removeKey() throws(DevCertFailure) -> Bool { try key.remove() }

    /// Takes the rest away, and the folder if it is empty then.
    func removeCertificate() throws(DevCertFailure) {
        _ = try certificate.remove()
        _ = unsafe rmdir(path)
    }
}
