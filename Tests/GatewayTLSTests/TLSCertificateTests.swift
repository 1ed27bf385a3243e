import GatewayTLS
import Glibc
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
        let signer = try TestIdentity("DNS:signer.example")
        let one = try TestIdentity(by: signer)
        #expect(trouble(one.certificate, one.key) == "none")
        let (certificate, key) = (try one.text(of: one.certificate), try one.text(of: one.key))
        #expect(trouble(try one.file("both.pem", certificate + key)) == "none")
        #expect(trouble(try one.file("turned.pem", "words\n" + key + certificate)) == "none")
        let chain = try one.file("chain.pem", certificate + one.text(of: signer.certificate))
        #expect(trouble(chain, one.key) == "none")
        #expect(try TLSContext([TLSCertificate(chain, key: one.key)]).makeLayer()?.hasInput == false)
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

    @Test("those that vouch for it stand in order, each signer behind what it has signed")
    func order() throws {
        let root = try TestIdentity("DNS:root.example")
        let middle = try TestIdentity("DNS:middle.example", by: root)
        let leaf = try TestIdentity("DNS:leaf.example", by: middle)
        let parts = try [leaf, middle, root].map { try leaf.text(of: $0.certificate) }
        #expect(trouble(try leaf.file("fine.pem", parts.joined()), leaf.key) == "none")
        let turned = try leaf.file("turned.pem", parts[0] + parts[2] + parts[1])
        #expect(
            trouble(turned, leaf.key)
                == "the certificates in \(turned) are not in order: number 2 (CN=DNS:root.example) has not signed number 1"
        )
        // The name is right, the key is not.
        let namesake = try TestIdentity("DNS:middle.example")
        let forged = try leaf.file("forged.pem", parts[0] + leaf.text(of: namesake.certificate))
        #expect(trouble(forged, leaf.key).hasSuffix("number 2 (CN=DNS:middle.example) has not signed number 1"))
        let torn = try leaf.file("torn.pem", parts[0] + parts[1].dropLast(60) + "-----END CERTIFICATE-----\n")
        #expect(trouble(torn, leaf.key).hasPrefix("certificate number 2 in \(torn) cannot be read: "))
        let old = try TestIdentity("DNS:old.example", begin: -7200, end: -3600)
        let young = try TestIdentity("DNS:young.example", by: old)
        let chain = try young.file("chain.pem", young.text(of: young.certificate) + young.text(of: old.certificate))
        #expect(trouble(chain, young.key).hasPrefix("certificate number 2 in \(chain) expired at 2"))
    }

    @Test("its name and its end, which is that of the first in the chain to end")
    func facts() throws {
        let now = Int64(time(nil))
        let root = try TestIdentity("DNS:root.example", end: 1000)
        let leaf = try TestIdentity("DNS:leaf.example,DNS:other.example", end: 2000, by: root)
        let alone = try TLSCertificate(leaf.certificate, key: leaf.key)
        #expect(alone.name == "leaf.example")
        #expect((now + 1990...now + 2030).contains(alone.expiresAt))
        let chain = try leaf.file("chain.pem", leaf.text(of: leaf.certificate) + leaf.text(of: root.certificate))
        let whole = try TLSCertificate(chain, key: leaf.key)
        #expect((now + 990...now + 1030).contains(whole.expiresAt))
        let nameless = try TestIdentity("IP:127.0.0.1")
        #expect(try TLSCertificate(nameless.certificate, key: nameless.key).name == "CN=IP:127.0.0.1")
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
