import COpenSSL
import Glibc

/// A signer of certificates for development, which the clients of one user are told to trust.
///
/// It names no domains that it is confined to (RFC 5280 4.2.1.10): which names will be asked for is not known when it is
/// trusted, and another authority for each new name would have to be trusted anew everywhere. It is confined to servers
/// of TLS instead, and its key to one user.
package final class CertificateAuthority {
    package let certificate: IssuedCertificate
    let key: CertificateKey

    /// By it what was made here is known again.
    static let organization = "gateway dev-cert"

    private static let secondsOfDay = 86_400
    private static let daysOfAuthority = 3650
    /// Apple's systems refuse certificates of more than 398 days from authorities they ship with, of more than 825 from
    /// others, and count a day that has begun; other vendors follow them. So this is within every limit there is.
    private static let daysOfCertificate = 397
    /// Clocks of other machines may be slow.
    private static let secondsBefore = 3600

    /// A new one.
    ///
    /// - Parameter owner: whose it is, for people who look through a list of authorities.
    package init(of owner: String) throws(TLSFailure) {
        key = try CertificateKey()
        var draft = try Draft(of: key, days: Self.daysOfAuthority)
        try draft.setSubject("gateway development CA \(draft.certificate.tag) of \(owner)")
        let own = draft.certificate
        try draft.setIssuer(own)
        try draft.extend(NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
        try draft.extend(NID_key_usage, "critical,keyCertSign")
        try draft.extend(NID_ext_key_usage, "serverAuth")
        try draft.extend(NID_subject_key_identifier, "hash")
        certificate = try draft.signed(with: key)
    }

    /// One that was made before, by its certificate and the key of that.
    package init(_ certificate: IssuedCertificate, key: CertificateKey) {
        precondition(certificate.belongs(to: key), "an authority has the key of its certificate")
        self.certificate = certificate
        self.key = key
    }

    /// Its key as PEM text.
    package var keyText: [UInt8] { get throws(TLSFailure) { try key.text } }

    /// Whether it outlives what it would issue today.
    package var isFresh: Bool { certificate.daysLeft >= Self.daysOfCertificate }

    /// A certificate for a server of these names that has this key.
    package func issue(for names: [CertificateName], to key: CertificateKey) throws(TLSFailure) -> IssuedCertificate {
        precondition(!names.isEmpty, "a certificate is for somebody")
        var draft = try Draft(of: key, days: Self.daysOfCertificate)
        try draft.setSubject(names[0].description)
        try draft.setIssuer(certificate)
        try draft.extend(NID_basic_constraints, "critical,CA:FALSE")
        try draft.extend(NID_key_usage, "critical,digitalSignature")
        try draft.extend(NID_ext_key_usage, "serverAuth")
        try draft.extend(NID_subject_alt_name, names.map(\.alternative).joined(separator: ","))
        // RFC 5280 4.2.1.1: by these clients find the authority; Python asks for them since 3.13.
        try draft.extend(NID_subject_key_identifier, "hash")
        try draft.extend(NID_authority_key_identifier, "keyid:always")
        return try draft.signed(with: self.key)
    }

    /// A certificate before it is signed.
    private struct Draft {
        let certificate: IssuedCertificate
        private var issuer: IssuedCertificate?

        init(of key: CertificateKey, days: Int) throws(TLSFailure) {
            guard let new = unsafe X509_new() else { throw .fromOpenSSL("cannot make a certificate") }
            unsafe certificate = IssuedCertificate(adopting: new)
            let end = days * secondsOfDay - secondsBefore - 1
            var isFine = unsafe X509_set_version(new, 2) == 1
            // Unique for each authority, and not to be guessed.
            let serial = UInt64.random(in: 1...UInt64(Int64.max))
            isFine = unsafe isFine && ASN1_INTEGER_set_uint64(X509_get_serialNumber(new), serial) == 1
            isFine = unsafe isFine && X509_gmtime_adj(X509_getm_notBefore(new), -secondsBefore) != nil
            isFine = unsafe isFine && X509_gmtime_adj(X509_getm_notAfter(new), end) != nil
            isFine = unsafe isFine && X509_set_pubkey(new, key.pointer) == 1
            guard isFine else { throw .fromOpenSSL("cannot make a certificate") }
        }

        /// RFC 5280 A.1: a common name has at most 64 characters.
        func setSubject(_ name: String) throws(TLSFailure) {
            let subject = unsafe X509_get_subject_name(certificate.pointer)
            for (field, text) in [(NID_organizationName, organization), (NID_commonName, String(name.prefix(64)))] {
                let added = unsafe X509_NAME_add_entry_by_NID(subject, field, MBSTRING_UTF8, text, -1, -1, 0)
                guard added == 1 else { throw .fromOpenSSL("cannot name a certificate") }
            }
        }

        mutating func setIssuer(_ authority: IssuedCertificate) throws(TLSFailure) {
            issuer = authority
            let name = unsafe X509_get_subject_name(authority.pointer)
            guard unsafe X509_set_issuer_name(certificate.pointer, name) == 1 else {
                throw .fromOpenSSL("cannot name a certificate")
            }
        }

        func extend(_ kind: Int32, _ value: String) throws(TLSFailure) {
            var context = unsafe X509V3_CTX()
            unsafe X509V3_set_ctx(&context, issuer?.pointer, certificate.pointer, nil, nil, 0)
            guard let made = unsafe X509V3_EXT_conf_nid(nil, &context, kind, value) else {
                throw .fromOpenSSL("cannot extend a certificate by \(value)")
            }
            defer { unsafe X509_EXTENSION_free(made) }
            guard unsafe X509_add_ext(certificate.pointer, made, -1) == 1 else {
                throw .fromOpenSSL("cannot extend a certificate by \(value)")
            }
        }

        /// The same certificate, whose draft is done with.
        consuming func signed(with key: CertificateKey) throws(TLSFailure) -> IssuedCertificate {
            guard unsafe X509_sign(certificate.pointer, key.pointer, EVP_sha256()) > 0 else {
                throw .fromOpenSSL("cannot sign a certificate")
            }
            return certificate
        }
    }
}
