import GatewayTLS
import Testing

@Suite("Certificates are found fit before anybody is shown them")
struct TLSCertificateTests {
    private func trouble(_ certificate: String, _ key: String? = nil) -> String {
        do throws(TLSFailure) {
            _ = try TLSCertificate(certificate, key: key)
            return "none"
        } catch {
            return error.description
        }
    }

    @Test("a certificate and its key, in two files or in one, whatever else stands there")
    func fine() throws {
        let (one, other) = (try TestIdentity(), try TestIdentity())
        #expect(trouble(one.certificate, one.key) == "none")
        let (certificate, key) = (try one.text(of: one.certificate), try one.text(of: one.key))
        #expect(trouble(try one.file("both.pem", certificate + key)) == "none")
        #expect(trouble(try one.file("turned.pem", "words\n" + key + certificate)) == "none")
        let chain = try one.file("chain.pem", certificate + one.text(of: other.certificate))
        #expect(trouble(chain, one.key) == "none")
        #expect(try TLSContext([TLSCertificate(chain, key: one.key)]).makeLayer().hasInput == false)
    }

    @Test("files that are missing, empty, or hold something else")
    func unreadable() throws {
        let identity = try TestIdentity()
        let nowhere = identity.folder + "/nowhere.pem"
        #expect(trouble(nowhere) == "cannot read \(nowhere): No such file or directory")
        #expect(trouble(identity.certificate, nowhere) == "cannot read \(nowhere): No such file or directory")
        #expect(trouble(identity.folder) == "cannot read \(identity.folder): Is a directory")
        let empty = try identity.file("empty.pem", "")
        #expect(trouble(empty, identity.key) == "there is no certificate in \(empty)")
        #expect(trouble(identity.key) == "there is no certificate in \(identity.key)")
        #expect(trouble(identity.certificate).hasPrefix("no private key can be read from \(identity.certificate)"))
        let large = try identity.file("large.pem", String(repeating: "x", count: 1 << 20 + 1))
        #expect(trouble(large) == "cannot read \(large): it is larger than 1048576 bytes")
    }

    @Test("a key of something else")
    func foreignKey() throws {
        let (one, other) = (try TestIdentity(), try TestIdentity())
        #expect(
            trouble(one.certificate, other.key)
                == "the private key in \(other.key) does not belong to the certificate in \(one.certificate)")
    }

    @Test("outside of its time")
    func dates() throws {
        let old = try TestIdentity(begin: -7200, end: -3600)
        #expect(trouble(old.certificate, old.key).hasPrefix("the certificate in \(old.certificate) expired at 2"))
        let young = try TestIdentity(begin: 3600, end: 7200)
        #expect(
            trouble(young.certificate, young.key).hasPrefix(
                "the certificate in \(young.certificate) is not valid before 2"))
    }
}
