import COpenSSL
import Glibc

/// A certificate for one host that vouches for itself, with its key: for a server that lives as long as a trial, whose
/// clients are told to trust it. ECDSA P-256.
package struct SelfSignedCertificate: Sendable {
    /// PEM.
    package let certificate: [UInt8]
    /// PEM.
    package let key: [UInt8]

    /// Clocks do not run backwards by more.
    private static let secondsBefore = 3600
    private static let secondsAfter = 86_400

    /// Makes one that is valid for a day.
    package init(host: String) throws(TLSFailure) {
        guard let key = unsafe Self.makeKey() else { throw .fromOpenSSL("cannot make a key") }
        defer { unsafe EVP_PKEY_free(key) }
        guard let made = unsafe Self.makeCertificate(host, key) else { throw .fromOpenSSL("cannot make a certificate") }
        defer { unsafe X509_free(made) }
        certificate = unsafe Self.text { unsafe PEM_write_bio_X509($0, made) }
        self.key = unsafe Self.text { unsafe PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
    }

    private static func makeKey() -> OpaquePointer? {
        let context = unsafe EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil)
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard unsafe EVP_PKEY_keygen_init(context) == 1,
            unsafe EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1,
            unsafe EVP_PKEY_keygen(context, &key) == 1
        else { return nil }
        return unsafe key
    }

    private static func makeCertificate(_ host: String, _ key: OpaquePointer) -> OpaquePointer? {
        guard let made = unsafe X509_new() else { return nil }
        let subject = unsafe X509_get_subject_name(made)
        let names = unsafe X509V3_EXT_conf_nid(nil, nil, NID_subject_alt_name, "DNS:\(host)")
        defer { unsafe X509_EXTENSION_free(names) }
        var isFine = unsafe X509_set_version(made, 2) == 1
        let serial = UInt64.random(in: 1...UInt64(Int64.max))
        isFine = unsafe isFine && ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), serial) == 1
        isFine = unsafe isFine && X509_gmtime_adj(X509_getm_notBefore(made), -secondsBefore) != nil
        isFine = unsafe isFine && X509_gmtime_adj(X509_getm_notAfter(made), secondsAfter) != nil
        isFine =
            unsafe isFine && X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, host, -1, -1, 0) == 1
        isFine = unsafe isFine && X509_set_issuer_name(made, subject) == 1
        isFine = unsafe isFine && X509_set_pubkey(made, key) == 1
        isFine = unsafe isFine && X509_add_ext(made, names, -1) == 1
        isFine = unsafe isFine && X509_sign(made, key, EVP_sha256()) > 0
        if isFine { return unsafe made }
        unsafe X509_free(made)
        return nil
    }

    private static func text(_ write: (OpaquePointer?) -> Int32) -> [UInt8] {
        let memory = unsafe BIO_new(BIO_s_mem())
        defer { unsafe BIO_free(memory) }
        let status = unsafe write(memory)
        precondition(status == 1, "OpenSSL cannot write to memory")
        var text: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while case let count = unsafe BIO_read(memory, &part, Int32(part.count)), count > 0 {
            text += part[..<Int(count)]
        }
        return text
    }
}
