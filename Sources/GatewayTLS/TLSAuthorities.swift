import Bytes
import COpenSSL

/// Who vouches for clients: the certificates that theirs have to lead up to.
@safe package final class TLSAuthorities: Sendable {
    /// What a client without a certificate is told. One with a certificate that does not hold is refused in any case.
    package enum Demand: Sendable {
        /// It may come in.
        case optional
        case required
    }

    private let demand: Demand
    /// OpenSSL counts who uses these, on any thread; nothing here changes them.
    private let certificates: [SendablePointer<OpaquePointer>]
    /// Of what is asked of a client: a session that was begun where something else was asked does not go on.
    let digest: [UInt8]

    /// Reads a file of certificates.
    package init(_ path: String, _ demand: Demand) throws(TLSFailure) {
        self.demand = demand
        let found = unsafe try PEMFile(path).certificates()
        unsafe certificates = found.map { unsafe SendablePointer($0) }
        digest = unsafe Self.digest(found, demand)
        if unsafe found.isEmpty { throw TLSFailure("there is no certificate in \(path)") }
    }

    deinit { unsafe certificates.forEach { unsafe X509_free($0.pointer) } }

    private static func digest(_ certificates: [OpaquePointer], _ demand: Demand) -> [UInt8] {
        var text: [UInt8] = [demand == .required ? 1 : 0]
        let count = unsafe certificates.count
        for index in 0..<count {
            var part = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
            _ = unsafe X509_digest(certificates[index], EVP_sha256(), &part, nil)
            text += part
        }
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        _ = unsafe SHA256(text, text.count, &digest)
        return digest
    }

    /// Has a context ask clients for certificates.
    ///
    /// - Returns: whether OpenSSL took it.
    func serve(_ context: OpaquePointer) -> Bool {
        guard let store = unsafe SSL_CTX_get_cert_store(context) else { return false }
        // Whoever stands in the file is trusted, also where his own signer does not.
        var isFine = unsafe X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN)) == 1
        let count = unsafe certificates.count
        for index in 0..<count {
            let certificate = unsafe certificates[index].pointer
            isFine = unsafe isFine && X509_STORE_add_cert(store, certificate) == 1
            // RFC 8446 4.2.4: clients that have several certificates choose by this.
            isFine = unsafe isFine && SSL_CTX_add_client_CA(context, certificate) == 1
        }
        let mode = SSL_VERIFY_PEER | (demand == .required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0)
        unsafe SSL_CTX_set_verify(context, mode, nil)
        return unsafe isFine && SSL_CTX_set_session_id_context(context, digest, UInt32(digest.count)) == 1
    }
}
