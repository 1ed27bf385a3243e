import Bytes
import COpenSSL
import Glibc

/// A certificate with what vouches for it and its private key, read and found fit for use.
@safe package final class TLSCertificate: Sendable {
    /// Where it was read.
    package let file: String
    /// The first host it was issued for, or else its subject.
    package let name: String
    /// When it ends, or one of those that vouch for it does: seconds since 1970.
    package let expiresAt: Int64

    /// From the certificate upwards to the one whose signer clients know.
    ///
    /// OpenSSL counts who uses these and the key, on any thread; nothing here changes them.
    private let pointers: [SendablePointer<OpaquePointer>]
    private let keyPointer: SendablePointer<OpaquePointer>

    var chain: [OpaquePointer] { unsafe pointers.map { unsafe $0.pointer } }
    var key: OpaquePointer { unsafe keyPointer.pointer }

    /// Reads PEM files.
    ///
    /// - Parameters:
    ///   - path: the certificate, behind which those that vouch for it may stand.
    ///   - keyPath: nil when the key stands in the same file.
    package init(_ path: String, key keyPath: String? = nil) throws(TLSFailure) {
        let file = try PEMFile(path)
        let keyFile = try keyPath.map { path throws(TLSFailure) in try PEMFile(path) } ?? file
        let chain = unsafe try file.certificates()
        unsafe pointers = chain.map { unsafe SendablePointer($0) }
        self.file = path
        name = unsafe chain.first.map { unsafe CertificateFacts.host($0) ?? CertificateFacts.subject($0) } ?? path
        expiresAt = unsafe chain.map { unsafe CertificateFacts.end($0) }.min() ?? 0
        guard let key = unsafe keyFile.key() else {
            unsafe chain.forEach { unsafe X509_free($0) }
            throw .fromOpenSSL("no private key can be read from \(keyPath ?? path)")
        }
        unsafe keyPointer = SendablePointer(key)
        guard let certificate = unsafe chain.first else { throw TLSFailure("there is no certificate in \(path)") }
        guard unsafe X509_check_private_key(certificate, key) == 1 else {
            ERR_clear_error()
            throw TLSFailure("the private key in \(keyPath ?? path) does not belong to the certificate in \(path)")
        }
        try checkOrder()
        let count = unsafe chain.count
        for index in 0..<count { try checkDates(index) }
    }

    deinit {
        unsafe chain.forEach { unsafe X509_free($0) }
        unsafe EVP_PKEY_free(key)
    }

    /// RFC 8446 4.4.2: each certificate should vouch for the one in front of it; many clients take no other order.
    private func checkOrder() throws(TLSFailure) {
        let chain = unsafe chain
        let count = unsafe chain.count
        for index in 1..<max(1, count) {
            let isSigner = unsafe X509_check_issued(chain[index], chain[index - 1]) == X509_V_OK
            let key = unsafe X509_get0_pubkey(chain[index])
            if unsafe isSigner && X509_verify(chain[index - 1], key) == 1 { continue }
            ERR_clear_error()
            let subject = unsafe CertificateFacts.subject(chain[index])
            throw TLSFailure(
                "the certificates in \(file) are not in order: number \(index + 1) (\(subject)) has not signed number"
                    + " \(index)")
        }
    }

    private func checkDates(_ index: Int) throws(TLSFailure) {
        let certificate = unsafe pointers[index].pointer
        let what = index == 0 ? "the certificate in \(file)" : "certificate number \(index + 1) in \(file)"
        // Answers -1 for a time that has passed.
        if unsafe X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0 {
            throw TLSFailure(
                "\(what) is not valid before \(unsafe CertificateFacts.text(X509_get0_notBefore(certificate)))")
        }
        if unsafe X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0 {
            throw TLSFailure("\(what) expired at \(unsafe CertificateFacts.text(X509_get0_notAfter(certificate)))")
        }
    }

    /// Whether it was issued for a host.
    func covers(_ name: UnsafePointer<CChar>, wildcards: Bool) -> Bool {
        let flags = wildcards ? 0 : UInt32(X509_CHECK_FLAG_NO_WILDCARDS)
        return unsafe X509_check_host(chain[0], name, strlen(name), flags, nil) == 1
    }

    /// Whether clients are shown the same.
    func isSame(as other: TLSCertificate) -> Bool {
        let (own, others) = unsafe (chain, other.chain)
        return unsafe own.count == others.count
            && own.indices.allSatisfy { unsafe X509_cmp(own[$0], others[$0]) == 0 }
    }
}
