import COpenSSL
import GatewayIO
import GatewayTLS
import Glibc
import Testing

@Suite("Clients are asked for certificates")
struct TLSAuthoritiesTests {
    private static let versions = [TLS1_2_VERSION, TLS1_3_VERSION]
    private let authority: TestIdentity
    private let server: TestIdentity

    init() throws {
        authority = try TestIdentity("DNS:authority.example")
        server = try TestIdentity()
    }

    private func context(_ demand: TLSAuthorities.Demand?, _ authority: TestIdentity? = nil) throws -> TLSContext {
        var settings = TLSSettings()
        settings.authorities = try demand.map { try TLSAuthorities((authority ?? self.authority).certificate, $0) }
        return try TLSContext([TLSCertificate(server.certificate, key: server.key)], settings)
    }

    /// What a client with an identity comes to: its name as we know it, or why it is refused.
    private func connect(
        _ context: TLSContext, _ version: Int32, _ identity: TestIdentity?
    ) -> (name: String?, failure: String?) {
        let pair = TLSPair(context, versions: (version, version), identity: identity)
        let end = pair.shake()
        if pair.layer.failure != nil {
            #expect(end.ours == .failed(Errno(EPROTO)))
            // It hears the alert, in TLS 1.3 when it already takes itself for connected.
            #expect(end.theirs == .failure)
        }
        return (pair.layer.security?.clientName, pair.layer.failure)
    }

    @Test(
        "one that the authority vouches for has a name", arguments: versions,
        [TLSAuthorities.Demand.optional, .required])
    func named(_ version: Int32, _ demand: TLSAuthorities.Demand) throws {
        let ada = try TestIdentity(subject: "Ada, Countess of Lovelace é", by: authority)
        let (name, failure) = connect(try context(demand), version, ada)
        #expect(name == #"CN=Ada\, Countess of Lovelace é"#)
        #expect(failure == nil)
    }

    @Test("one without a certificate", arguments: versions)
    func unnamed(_ version: Int32) throws {
        let (name, failure) = connect(try context(.optional), version, nil)
        #expect(name == "")
        #expect(failure == nil)
        #expect(connect(try context(.required), version, nil).failure == "TLS: peer did not return a certificate")
    }

    @Test("a certificate that does not hold is refused, asked for or not", arguments: versions)
    func refused(_ version: Int32) throws {
        let stranger = try TestIdentity(subject: "stranger", by: TestIdentity())
        let old = try TestIdentity(subject: "old", begin: -7200, end: -3600, by: authority)
        let young = try TestIdentity(subject: "young", begin: 3600, end: 7200, by: authority)
        for demand in [TLSAuthorities.Demand.optional, .required] {
            let context = try context(demand)
            for (identity, why) in [
                (stranger, "unable to get local issuer certificate"), (old, "certificate has expired"),
                (young, "certificate is not yet valid"),
            ] {
                let failure = connect(context, version, identity).failure
                #expect(failure == "TLS: the certificate of the client does not hold: \(why)")
            }
        }
    }

    @Test("a session that goes on has kept the name", arguments: versions)
    func resumption(_ version: Int32) throws {
        let ada = try TestIdentity(subject: "Ada", by: authority)
        let first = TLSPair(try context(.required), versions: (version, version), identity: ada)
        first.shake()
        _ = first.clientReads()
        let session = SSL_get1_session(first.client)
        defer { SSL_SESSION_free(session) }
        // The certificates were read again meanwhile. The client shows nothing any more.
        let second = TLSPair(try context(.required), versions: (version, version), session: session)
        second.shake()
        #expect(second.layer.isResumed)
        #expect(second.layer.security?.clientName == "CN=Ada")
    }

    @Test("a session goes on only where the same is asked of clients", arguments: versions)
    func foreignSession(_ version: Int32) throws {
        let (ada, other) = (try TestIdentity(subject: "Ada", by: authority), try TestIdentity())
        func session(_ context: TLSContext) -> OpaquePointer? {
            let pair = TLSPair(context, versions: (version, version), identity: ada)
            pair.shake()
            _ = pair.clientReads()
            return SSL_get1_session(pair.client)
        }
        let demands: [TLSAuthorities.Demand?] = [nil, .optional, .required]
        let sessions = try demands.map { session(try context($0)) }
        defer { sessions.forEach { SSL_SESSION_free($0) } }
        for (index, session) in sessions.enumerated() {
            let same = TLSPair(try context(.required), versions: (version, version), session: session, identity: ada)
            same.shake()
            #expect(same.layer.isResumed == (index == 2))
            #expect(same.layer.security?.clientName == "CN=Ada")
            let strict = TLSPair(try context(.required, other), versions: (version, version), session: session)
            strict.shake()
            #expect(strict.layer.failure == "TLS: peer did not return a certificate")
        }
    }

    @Test("files that are missing or hold no certificate")
    func unreadable() throws {
        func trouble(_ path: String) -> String {
            do throws(TLSFailure) {
                _ = try TLSAuthorities(path, .required)
                return "none"
            } catch {
                return error.description
            }
        }
        let nowhere = server.folder + "/nowhere.pem"
        #expect(trouble(nowhere) == "cannot read \(nowhere): No such file or directory")
        let empty = try server.file("empty.pem", "")
        #expect(trouble(empty) == "there is no certificate in \(empty)")
        #expect(trouble(server.key) == "there is no certificate in \(server.key)")
        #expect(trouble(authority.certificate) == "none")
    }
}
