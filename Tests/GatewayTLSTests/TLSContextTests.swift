import COpenSSL
import GatewayIO
import GatewayTLS
import Glibc
import Testing

@Suite("What the TLS connections of a listener agree on")
struct TLSContextTests {
    private func certificate(_ names: String) throws -> TLSCertificate {
        let identity = try TestIdentity(names)
        return try TLSCertificate(identity.certificate, key: identity.key)
    }

    @Test(
        "the name that a client asks for chooses the certificate, the first one is for all others",
        arguments: [
            (nil, "DNS:first.example"), ("first.example", "DNS:first.example"),
            ("a.wild.example", "DNS:*.wild.example"),
            ("b.wild.example", "DNS:b.wild.example"), ("a.b.wild.example", "DNS:first.example"),
            ("B.Wild.Example", "DNS:b.wild.example"), ("wild.example", "DNS:first.example"),
        ])
    func names(_ name: String?, _ shown: String) throws {
        let context = try TLSContext(
            ["DNS:first.example", "DNS:*.wild.example", "DNS:b.wild.example"].map { try certificate($0) })
        let pair = TLSPair(context, name: name)
        pair.shake()
        #expect(pair.isOpen)
        #expect(pair.shownName == shown)
        #expect(pair.layer.security?.serverName == name ?? "")
    }

    @Test(
        "the newest version that both speak, or none",
        arguments: [
            (TLSVersion.v12 ... .v13, TLS1_2_VERSION, TLS1_3_VERSION, "TLSv1.3"),
            (.v12 ... .v13, TLS1_2_VERSION, TLS1_2_VERSION, "TLSv1.2"),
            (.v12 ... .v12, TLS1_2_VERSION, TLS1_3_VERSION, "TLSv1.2"),
            (.v13 ... .v13, TLS1_2_VERSION, TLS1_2_VERSION, ""),
            (.v12 ... .v12, TLS1_3_VERSION, TLS1_3_VERSION, ""),
        ])
    func versions(_ ours: ClosedRange<TLSVersion>, _ least: Int32, _ most: Int32, _ agreed: String) throws {
        var settings = TLSSettings()
        settings.versions = ours
        let pair = TLSPair(try TLSContext([certificate("DNS:a")], settings), versions: (least, most))
        let end = pair.shake()
        #expect(pair.isOpen == !agreed.isEmpty)
        if agreed.isEmpty {
            #expect(end.ours == .failed(Errno(EPROTO)))
            #expect(end.theirs == .failure)
            #expect(pair.layer.failure == "TLS: unsupported protocol")
            #expect(pair.layer.security == nil)
        } else {
            #expect(pair.clientVersion == agreed)
            #expect(pair.layer.security?.version == agreed)
            let cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(pair.client)).map { String(cString: $0) }
            #expect(pair.layer.security?.cipher == cipher)
        }
    }

    @Test("a ticket resumes its session with another context as well", arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func resumption(_ version: Int32) throws {
        let first = TLSPair(try TLSContext([certificate("DNS:a")]), versions: (version, version))
        first.shake()
        _ = first.clientReads()
        #expect(!first.layer.isResumed)
        let session = SSL_get1_session(first.client)
        defer { SSL_SESSION_free(session) }
        #expect(SSL_SESSION_has_ticket(session) == 1)
        #expect(SSL_SESSION_get_max_early_data(session) == 0)
        let second = TLSPair(try TLSContext([certificate("DNS:a")]), versions: (version, version), session: session)
        second.shake()
        #expect(second.isOpen)
        #expect(second.layer.isResumed)
    }

    @Test(
        "http/1.1 is agreed on where protocols are offered, and a client that has only others is told so",
        arguments: [("http/1.1", true), ("h2 http/1.1", true), ("h2", false), ("", true)])
    func protocols(_ offered: String, _ isFine: Bool) throws {
        let list = offered.split(separator: " ").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        let pair = TLSPair(try TLSContext([certificate("DNS:a")]), protocols: list)
        pair.shake()
        #expect(pair.isOpen == isFine)
        var (chosen, count): (UnsafePointer<UInt8>?, UInt32) = (nil, 0)
        SSL_get0_alpn_selected(pair.client, &chosen, &count)
        let text = String(decoding: UnsafeBufferPointer(start: chosen, count: Int(count)), as: UTF8.self)
        #expect(text == (isFine && !offered.isEmpty ? "http/1.1" : ""))
        if !isFine { #expect(pair.layer.failure == "TLS: no application protocol") }
    }

    @Test("other certificates are told from the same ones, read again")
    func sameness() throws {
        let identity = try TestIdentity()
        let same = try (0..<2).map { _ in try TLSContext([TLSCertificate(identity.certificate, key: identity.key)]) }
        #expect(same[0].hasCertificates(of: same[1]))
        #expect(!same[0].hasCertificates(of: try TLSContext([certificate("DNS:localhost")])))
    }

    @Test("nobody renegotiates")
    func renegotiation() throws {
        let pair = TLSPair(try TLSContext([certificate("DNS:a")]), versions: (TLS1_2_VERSION, TLS1_2_VERSION))
        pair.shake()
        #expect(SSL_renegotiate(pair.client) == 1)
        _ = SSL_do_handshake(pair.client)
        // RFC 5246 7.2.2: a no_renegotiation alert, which the client takes for the end.
        #expect(pair.read() == .wouldBlock)
        _ = pair.flush()
        #expect(pair.clientReads() == .failure)
    }

    @Test("keys are updated as often as a client likes (RFC 8446 4.6.3), ours with them when it asks")
    func keyUpdate() throws {
        let pair = TLSPair(try TLSContext([certificate("DNS:a")]), versions: (TLS1_3_VERSION, TLS1_3_VERSION))
        pair.shake()
        _ = pair.clientReads()
        for round in 0..<50 as Range<UInt8> {
            let request = round % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED
            #expect(SSL_key_update(pair.client, request) == 1)
            #expect(pair.clientWrites([round]))
            var heard: [UInt8] = []
            _ = pair.read(100, into: &heard)
            #expect(heard == [round])
            #expect(pair.write(heard) == .moved(1))
            #expect(pair.clientReads() == .bytes([round]))
        }
    }

    @Test(
        "the cipher suites of the configuration, for each version",
        arguments: [
            ("ECDHE+AES256:!SHA1", TLS1_2_VERSION, "ECDHE-"), ("ECDHE+CHACHA20", TLS1_2_VERSION, "ECDHE-"),
            ("TLS_CHACHA20_POLY1305_SHA256", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"),
            ("TLS_AES_128_GCM_SHA256:ECDHE+AESGCM", TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"),
            ("TLS_AES_128_GCM_SHA256", TLS1_2_VERSION, "ECDHE-"),
        ])
    func ciphers(_ text: String, _ version: Int32, _ agreed: String) throws {
        var settings = TLSSettings()
        settings.ciphers = text
        let pair = TLSPair(try TLSContext([certificate("DNS:a")], settings), versions: (version, version))
        pair.shake()
        #expect(pair.layer.security?.cipher.hasPrefix(agreed) == true, "\(String(describing: pair.layer.security))")
    }

    @Test(
        "names that OpenSSL does not know are no cipher suites",
        arguments: ["NONE-SUCH", "ECDHE+AESGCM:TYPO", "TLS_TYPO"])
    func unknownCiphers(_ text: String) throws {
        var settings = TLSSettings()
        settings.ciphers = text
        let name = text.split(separator: ":").last ?? ""
        let failure = #expect(throws: TLSFailure.self) { try TLSContext([certificate("DNS:a")], settings) }
        #expect(failure?.description.hasPrefix("ciphers: \"\(name)\"") == true)
    }
}
