import Bytes
import COpenSSL
import Glibc

/// A version of TLS that is spoken.
package enum TLSVersion: String, Sendable, CaseIterable, Comparable {
    /// RFC 5246
    case v12 = "1.2"
    /// RFC 8446
    case v13 = "1.3"

    var number: Int32 {
        switch self {
        case .v12: TLS1_2_VERSION
        case .v13: TLS1_3_VERSION
        }
    }

    package static func < (left: TLSVersion, right: TLSVersion) -> Bool { left.number < right.number }
}

/// What a listener asks of TLS beside certificates.
package struct TLSSettings: Sendable {
    package var versions = TLSVersion.v12 ... .v13
    /// Cipher suites in the words of OpenSSL; nil for what is good today.
    package var ciphers: String?
    /// Nil where clients are not asked for certificates.
    package var authorities: TLSAuthorities?
    /// Clients may speak HTTP/2 (RFC 7301: "h2").
    package var offersHTTP2 = false

    package init() {}
}

/// What all TLS connections of a listener share: certificates, versions, keys of tickets. Any thread.
@safe package final class TLSContext: Sendable {
    package let certificates: [TLSCertificate]
    /// One for each certificate; OpenSSL lets any thread make sessions with one.
    private let contexts: [SendablePointer<OpaquePointer>]

    private let settings: TLSSettings
    private let tickets: TicketKeys

    /// - Parameter certificates: the one that fits the name a client asks for is shown, the first one to clients that ask
    ///   for no name or another one.
    package init(
        _ certificates: [TLSCertificate], _ settings: TLSSettings = TLSSettings(),
        tickets: TicketKeys = .ofProcess
    ) throws(TLSFailure) {
        precondition(!certificates.isEmpty, "a server has a certificate")
        self.certificates = certificates
        self.settings = settings
        self.tickets = tickets
        var made: [OpaquePointer] = unsafe []
        do throws(TLSFailure) {
            for certificate in certificates { unsafe made.append(try Self.makeContext(certificate, settings)) }
        } catch {
            unsafe made.forEach { unsafe SSL_CTX_free($0) }
            unsafe contexts = unsafe []
            throw error
        }
        unsafe contexts = made.map { unsafe SendablePointer($0) }
        for index in certificates.indices { unsafe tickets.serve(contexts[index].pointer) }
        if certificates.count > 1 {
            // Each session keeps this alive, which is longer than OpenSSL asks.
            unsafe copenssl_on_server_name(made[0], Self.chooseCertificate, Unmanaged.passUnretained(self).toOpaque())
        }
    }

    deinit { unsafe contexts.forEach { unsafe SSL_CTX_free($0.pointer) } }

    /// The alert "internal_error" as a record of its own (RFC 8446 5.1 and 6.2): it may be sent before the handshake, so
    /// that a peer that cannot be served need not be taken for a machine that is gone.
    package static let refusal: [UInt8] = [21, 3, 3, 0, 2, 2, 80]

    /// A layer for one connection, for the thread that asks; nil when there is no memory.
    package func makeLayer() -> TLSLayer? { TLSLayer(self) }

    /// Whether clients are shown the same certificates.
    package func hasCertificates(of other: TLSContext) -> Bool {
        certificates.elementsEqual(other.certificates) { $0.isSame(as: $1) }
    }

    /// Whether the same is asked of clients.
    package func hasSettings(of other: TLSContext) -> Bool {
        settings.versions == other.settings.versions && settings.ciphers == other.settings.ciphers
            && settings.authorities?.digest == other.settings.authorities?.digest
            && settings.offersHTTP2 == other.settings.offersHTTP2
    }

    func makeSession() -> OpaquePointer? {
        let session = unsafe SSL_new(contexts[0].pointer)
        if unsafe session == nil { ERR_clear_error() }
        return unsafe session
    }

    private static func makeContext(
        _ certificate: TLSCertificate, _ settings: TLSSettings
    ) throws(TLSFailure) -> OpaquePointer {
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw .fromOpenSSL("TLS") }
        do throws(TLSFailure) {
            unsafe try prepare(context, certificate, settings)
            return unsafe context
        } catch {
            unsafe SSL_CTX_free(context)
            throw error
        }
    }

    private static func prepare(
        _ context: OpaquePointer, _ certificate: TLSCertificate, _ settings: TLSSettings
    ) throws(TLSFailure) {
        // Buffers of OpenSSL are held only while a record is under way: 16 KiB less for each idle connection.
        unsafe copenssl_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        unsafe copenssl_forbid_renegotiation(context)
        // Sessions are in the clients' tickets; RFC 8446 8: early data could be replayed, and none is taken by default.
        unsafe copenssl_set_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        unsafe SSL_CTX_set_num_tickets(context, 1)
        unsafe SSL_CTX_set_alpn_select_cb(
            context, settings.offersHTTP2 ? chooseAnyProtocol : chooseHTTP1, nil)
        let versions = settings.versions
        guard unsafe copenssl_set_versions(context, versions.lowerBound.number, versions.upperBound.number) == 1 else {
            throw .fromOpenSSL("the versions of TLS cannot be used")
        }
        try unsafe setCiphers(context, settings.ciphers)
        var isFine = unsafe SSL_CTX_use_certificate(context, certificate.chain[0]) == 1
        isFine = unsafe isFine && SSL_CTX_use_PrivateKey(context, certificate.key) == 1
        isFine =
            unsafe isFine && certificate.chain.dropFirst().allSatisfy { unsafe copenssl_add_chain(context, $0) == 1 }
        guard isFine else { throw .fromOpenSSL("the certificate in \(certificate.file) cannot be used") }
        if let authorities = settings.authorities, unsafe !authorities.serve(context) {
            throw .fromOpenSSL("the authorities of clients cannot be used")
        }
    }

    /// Of TLS 1.2 what has forward secrecy and authenticated encryption; TLS 1.3 has nothing else.
    private static let goodCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20"

    /// The suites of TLS 1.3 have names of their own (RFC 8446 B.4), and OpenSSL a list of its own for them. Where one of
    /// the two is not spoken of it stays as it is.
    private static func setCiphers(_ context: OpaquePointer, _ text: String?) throws(TLSFailure) {
        let wanted = (text ?? goodCiphers).split { ":, ".contains($0) }
        let suites = wanted.filter { $0.hasPrefix("TLS_") }
        let ciphers = wanted.filter { !$0.hasPrefix("TLS_") }
        // In a list OpenSSL passes over what it does not know, so each is tried alone. What begins with one of these
        // takes away from others or sorts them.
        for name in wanted where !"!-+@".contains(name.first ?? "!") {
            let isKnown =
                unsafe name.hasPrefix("TLS_")
                ? SSL_CTX_set_ciphersuites(context, String(name)) == 1
                : SSL_CTX_set_cipher_list(context, String(name)) == 1
            if !isKnown { throw .fromOpenSSL("ciphers: \"\(name)\"") }
        }
        let list = ciphers.isEmpty ? goodCiphers : ciphers.joined(separator: ":")
        var isFine = unsafe SSL_CTX_set_cipher_list(context, list) == 1
        if !suites.isEmpty {
            isFine = unsafe isFine && SSL_CTX_set_ciphersuites(context, suites.joined(separator: ":")) == 1
        }
        if !isFine { throw .fromOpenSSL("ciphers: \"\(text ?? list)\"") }
    }

    // MARK: What a ClientHello asks for

    private typealias NameCallback =
        @convention(c) (OpaquePointer?, UnsafeMutablePointer<Int32>?, UnsafeMutableRawPointer?) -> Int32

    private static let chooseCertificate: NameCallback = { session, _, argument in
        guard let session = unsafe session, let argument = unsafe argument,
            let name = unsafe SSL_get_servername(session, TLSEXT_NAMETYPE_host_name)
        else { return SSL_TLSEXT_ERR_NOACK }
        let context = unsafe Unmanaged<TLSContext>.fromOpaque(argument).takeUnretainedValue()
        guard let index = unsafe context.index(for: name) else { return SSL_TLSEXT_ERR_NOACK }
        unsafe SSL_set_SSL_CTX(session, context.contexts[index].pointer)
        return SSL_TLSEXT_ERR_OK
    }

    /// A certificate for just that host goes before one for many.
    private func index(for name: UnsafePointer<CChar>) -> Int? {
        certificates.firstIndex { unsafe $0.covers(name, wildcards: false) }
            ?? certificates.firstIndex { unsafe $0.covers(name, wildcards: true) }
    }

    /// RFC 7301 3.1: each name behind its length; lives for ever, since OpenSSL keeps a pointer into it.
    private static func list(_ names: String...) -> SendablePointer<UnsafeBufferPointer<UInt8>> {
        let bytes = names.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        let list = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
        _ = unsafe list.initialize(from: bytes)
        return unsafe SendablePointer(UnsafeBufferPointer(list))
    }

    private static let http1 = unsafe list("http/1.1")
    private static let anyHTTP = unsafe list("h2", "http/1.1")

    private typealias ProtocolCallback =
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<UInt8>?,
            UnsafePointer<UInt8>?, UInt32, UnsafeMutableRawPointer?
        ) -> Int32

    private static let chooseHTTP1: ProtocolCallback = { _, chosen, count, offered, offeredCount, _ in
        unsafe choose(http1.pointer, chosen, count, offered, offeredCount)
    }

    private static let chooseAnyProtocol: ProtocolCallback = { _, chosen, count, offered, offeredCount, _ in
        unsafe choose(anyHTTP.pointer, chosen, count, offered, offeredCount)
    }

    private static func choose(
        _ ours: UnsafeBufferPointer<UInt8>, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ count: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredCount: UInt32
    ) -> Int32 {
        var found: UnsafeMutablePointer<UInt8>?
        let answer = unsafe SSL_select_next_proto(
            &found, count, ours.baseAddress, UInt32(ours.count), offered, offeredCount)
        // RFC 7301 3.2: a client that speaks none of ours is told so.
        guard answer == OPENSSL_NPN_NEGOTIATED else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        unsafe chosen?.pointee = UnsafePointer(found)
        return SSL_TLSEXT_ERR_OK
    }
}
