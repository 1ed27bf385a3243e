import COpenSSL
import Foundation

/// A certificate of a test's own and its key, in a folder that goes with it.
final class TestIdentity {
    let folder: String
    var certificate: String { folder + "/cert.pem" }
    var key: String { folder + "/key.pem" }
    /// The same as OpenSSL has them.
    let made: OpaquePointer
    let madeKey: OpaquePointer

    /// - Parameters:
    ///   - names: as in "DNS:a.example".
    ///   - subject: whom it is issued for; nil for those names.
    ///   - begin: seconds from now on.
    ///   - signer: who vouches for it; nil for itself.
    init(
        _ names: String = "DNS:localhost", subject text: String? = nil, begin: Int = -3600, end: Int = 3600,
        by signer: TestIdentity? = nil
    ) throws {
        folder = NSTemporaryDirectory() + "gateway-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let context = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nil)
        var key: OpaquePointer?
        EVP_PKEY_keygen_init(context)
        EVP_PKEY_keygen(context, &key)
        let certificate = X509_new()
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1...1_000_000))
        X509_gmtime_adj(X509_getm_notBefore(certificate), begin)
        X509_gmtime_adj(X509_getm_notAfter(certificate), end)
        let subject = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, text ?? names, -1, -1, 0)
        X509_set_issuer_name(certificate, signer.map { X509_get_subject_name($0.made) } ?? subject)
        X509_set_pubkey(certificate, key)
        let hosts = X509V3_EXT_conf_nid(nil, nil, NID_subject_alt_name, names)
        X509_add_ext(certificate, hosts, -1)
        let isAuthority = X509V3_EXT_conf_nid(nil, nil, NID_basic_constraints, "critical,CA:TRUE")
        X509_add_ext(certificate, isAuthority, -1)
        X509_EXTENSION_free(isAuthority)
        X509_sign(certificate, signer?.madeKey ?? key, nil)
        made = certificate!
        madeKey = key!
        var file = BIO_new_file(self.certificate, "w")
        PEM_write_bio_X509(file, certificate)
        BIO_free(file)
        file = BIO_new_file(self.key, "w")
        PEM_write_bio_PrivateKey(file, key, nil, nil, 0, nil, nil)
        BIO_free(file)
        X509_EXTENSION_free(hosts)
        EVP_PKEY_CTX_free(context)
    }

    deinit {
        X509_free(made)
        EVP_PKEY_free(madeKey)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// A file beside them.
    func file(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
        return "\(folder)/\(name)"
    }

    func text(of path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
}
