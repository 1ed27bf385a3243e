import COpenSSL
import Glibc

/// What the TLS connections of a client to one host share: whom it trusts, and the session that the next one may resume.
/// One thread.
@safe package final class TLSClient {
    /// Who may vouch for the server.
    package enum Trust: Equatable, Sendable {
        /// Those whom this machine trusts.
        case system
        /// Only the certificates in a PEM file.
        case file(String)
        /// Nobody has to: whoever answers is taken for the server.
        case anybody
    }

    private let context: OpaquePointer
    private let host: String
    private let resumes: Bool
    /// The newest one that a server gave.
    private var ticket: OpaquePointer?

    /// - Parameters:
    ///   - host: a name or an address, which the certificate has to be for.
    ///   - resumes: a connection goes on with the session of an earlier one where the server lets it.
    ///   - http2: HTTP/2 is spoken and nothing else.
    package init(
        host: String, trusting trust: Trust, resumes: Bool = false, http2: Bool = false
    ) throws(TLSFailure) {
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw .fromOpenSSL("TLS") }
        unsafe self.context = context
        self.host = host
        self.resumes = resumes
        // Buffers of OpenSSL are held only while a record is under way, so that many connections fit in memory.
        unsafe copenssl_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        var isFine = unsafe copenssl_set_versions(context, TLS1_2_VERSION, TLS1_3_VERSION) == 1
        // In the order of browsers, which is not OpenSSL's: most servers let the client choose.
        let ciphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
        isFine = unsafe isFine && SSL_CTX_set_ciphersuites(context, ciphers) == 1
        isFine = unsafe isFine && SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1
        // RFC 7301 3.1: a name behind its length. A server that also speaks HTTP/2 would else have to guess.
        let protocols = http2 ? [2] + Array("h2".utf8) : [8] + Array("http/1.1".utf8)
        isFine = unsafe isFine && SSL_CTX_set_alpn_protos(context, protocols, UInt32(protocols.count)) == 0
        guard isFine else { throw .fromOpenSSL("TLS") }
        try self.trust(trust)
    }

    private func trust(_ trust: Trust) throws(TLSFailure) {
        switch trust {
        case .anybody: return unsafe SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        case .system:
            guard unsafe SSL_CTX_set_default_verify_paths(context) == 1 else {
                throw .fromOpenSSL("the certificates that this machine trusts cannot be read")
            }
        case .file(let path):
            guard unsafe SSL_CTX_load_verify_file(context, path) == 1 else {
                throw .fromOpenSSL("no certificates can be read from \(path)")
            }
        }
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
    }

    deinit {
        unsafe SSL_SESSION_free(ticket)
        unsafe SSL_CTX_free(context)
    }

    /// A layer for one connection, whose first words are the ClientHello: flushing sends it.
    package func makeLayer() -> TLSLayer { TLSLayer(self) }

    /// There is a session to resume.
    package var hasTicket: Bool { unsafe ticket != nil }

    func makeSession() -> OpaquePointer {
        guard let session = unsafe SSL_new(context) else { fatalError("out of memory for a TLS session") }
        unsafe SSL_set_connect_state(session)
        if unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) != 1 {
            ERR_clear_error()
            unsafe SSL_set1_host(session, host)
            // RFC 6066 3: an address is no server name.
            _ = unsafe copenssl_set_server_name(session, host)
        }
        if resumes, let ticket = unsafe ticket { unsafe SSL_set_session(session, ticket) }
        return unsafe session
    }

    /// Keeps what a connection that is over was given for the next one.
    func keepTicket(of session: OpaquePointer) {
        guard resumes, let given = unsafe SSL_get1_session(session) else { return }
        guard unsafe SSL_SESSION_is_resumable(given) == 1 else { return unsafe SSL_SESSION_free(given) }
        unsafe SSL_SESSION_free(ticket)
        unsafe ticket = given
    }
}
