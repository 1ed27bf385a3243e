import COpenSSL

/// The private key of a certificate, with its public half.
@safe package final class CertificateKey {
    let pointer: OpaquePointer

    /// A new one, for ECDSA on P-256: every client takes it, and a handshake costs less than with RSA.
    package init() throws(TLSFailure) {
        guard let key = unsafe copenssl_make_p256_key() else { throw .fromOpenSSL("cannot make a key") }
        unsafe pointer = key
    }

    /// The first one in PEM text; nil when there is none.
    package init?(_ text: [UInt8]) {
        guard let key = unsafe PEMFile(text: text).key() else {
            ERR_clear_error()
            return nil
        }
        unsafe pointer = key
    }

    deinit { unsafe EVP_PKEY_free(pointer) }

    /// As PEM text, not encrypted.
    package var text: [UInt8] {
        get throws(TLSFailure) {
            try unsafe PEMText.written { unsafe PEM_write_bio_PKCS8PrivateKey($0, pointer, nil, nil, 0, nil, nil) }
        }
    }
}

/// PEM text, as OpenSSL writes it.
enum PEMText {
    static func written(_ write: (OpaquePointer) -> Int32) throws(TLSFailure) -> [UInt8] {
        guard let sink = unsafe BIO_new(BIO_s_mem()) else { throw .fromOpenSSL("cannot write PEM") }
        defer { unsafe BIO_free(sink) }
        guard unsafe write(sink) == 1 else { throw .fromOpenSSL("cannot write PEM") }
        var bytes = [UInt8](repeating: 0, count: unsafe BIO_ctrl_pending(sink))
        let count = unsafe BIO_read(sink, &bytes, Int32(bytes.count))
        return Array(bytes.prefix(Int(max(count, 0))))
    }
}
