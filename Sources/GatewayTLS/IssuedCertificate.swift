import COpenSSL
import Glibc

/// A certificate as what it says: whom it is for, who signed it, until when.
@safe package final class IssuedCertificate {
    let pointer: OpaquePointer

    /// Takes over a certificate that has no other owner.
    init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

    /// The first one in PEM text, whatever its dates; nil when there is none.
    package init?(_ text: [UInt8]) {
        let found = unsafe (try? PEMFile(text: text).certificates()) ?? []
        unsafe found.dropFirst().forEach { unsafe X509_free($0) }
        guard let first = unsafe found.first else { return nil }
        unsafe pointer = first
    }

    deinit { unsafe X509_free(pointer) }

    /// As PEM text.
    package var text: [UInt8] {
        get throws(TLSFailure) { try unsafe PEMText.written { unsafe PEM_write_bio_X509($0, pointer) } }
    }

    /// Whether an authority of `gateway dev-cert` issued it, this user's or another one.
    package var isOfDevelopment: Bool {
        var room = [CChar](repeating: 0, count: 128)
        let name = unsafe X509_get_issuer_name(pointer)
        let count = unsafe X509_NAME_get_text_by_NID(name, NID_organizationName, &room, Int32(room.count))
        return count > 0 && room[..<Int(count)].elementsEqual(CertificateAuthority.organization.utf8.map(CChar.init))
    }

    /// Eight digits that tell its key from others.
    package var tag: String {
        var (digest, count) = ([UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE)), UInt32(0))
        guard unsafe X509_pubkey_digest(pointer, EVP_sha256(), &digest, &count) == 1 else { return "00000000" }
        return digest.prefix(4).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    package func isSigned(by authority: CertificateAuthority) -> Bool {
        defer { ERR_clear_error() }
        return unsafe X509_verify(pointer, authority.key.pointer) == 1
    }

    package func belongs(to key: CertificateKey) -> Bool {
        defer { ERR_clear_error() }
        return unsafe X509_check_private_key(pointer, key.pointer) == 1
    }

    package func covers(_ name: CertificateName) -> Bool {
        switch name {
        case .host(let host): unsafe X509_check_host(pointer, host, host.utf8.count, 0, nil) == 1
        case .address(let address): unsafe X509_check_ip_asc(pointer, address, 0) == 1
        }
    }

    /// What its subjectAltName lists.
    package var names: [CertificateName] {
        let index = unsafe X509_get_ext_by_NID(pointer, NID_subject_alt_name, -1)
        guard let list = unsafe X509_get_ext(pointer, index),
            let text = try? unsafe PEMText.written({ unsafe X509V3_EXT_print($0, list, 0, 0) })
        else { return [] }
        // "DNS:localhost, IP Address:127.0.0.1"
        return String(decoding: text, as: UTF8.self).split(separator: ",").compactMap { entry in
            let parts = entry.split(separator: ":", maxSplits: 1)
            return parts.count == 2 ? try? CertificateName(String(parts[1])) : nil
        }
    }

    /// Whole days until it expires; negative when it has.
    package var daysLeft: Int {
        var (days, seconds): (Int32, Int32) = (0, 0)
        guard unsafe ASN1_TIME_diff(&days, &seconds, nil, X509_get0_notAfter(pointer)) == 1 else { return -1 }
        return seconds < 0 ? Int(days) - 1 : Int(days)
    }

    /// The day on which it expires, as 2027-12-31.
    package var lastDay: String { unsafe String(CertificateFacts.text(X509_get0_notAfter(pointer)).prefix(10)) }
}
