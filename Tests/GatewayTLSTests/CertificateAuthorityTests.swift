import COpenSSL
import GatewayTLS
import Testing

@Suite("An authority for development, and what it issues")
struct CertificateAuthorityTests {
    private let names = ["localhost", "127.0.0.1", "::1", "*.app.test"].compactMap { try? CertificateName($0) }

    /// A certificate as OpenSSL prints it.
    private func shown(_ certificate: IssuedCertificate) throws -> String {
        let text = try certificate.text
        let source = BIO_new_mem_buf(text, Int32(text.count))
        let sink = BIO_new(BIO_s_mem())
        let read = PEM_read_bio_X509(source, nil, nil, nil)
        defer {
            BIO_free(source)
            BIO_free(sink)
            X509_free(read)
        }
        X509_print(sink, read)
        var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(sink))
        BIO_read(sink, &bytes, Int32(bytes.count))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What follows a heading in that: the next line.
    private func line(behind heading: String, _ text: String) -> String? {
        let lines = text.split(separator: "\n").map { $0.drop { $0 == " " } }
        guard let index = lines.firstIndex(where: { $0.hasPrefix(heading) }) else { return nil }
        return lines.dropFirst(index + 1).first.map { String($0) }
    }

    @Test func `vouches for servers and for nothing else`() throws {
        let authority = try CertificateAuthority(of: "ada@" + String(repeating: "long", count: 30))
        let text = try shown(authority.certificate)
        #expect(line(behind: "X509v3 Basic Constraints: critical", text) == "CA:TRUE, pathlen:0")
        #expect(line(behind: "X509v3 Key Usage: critical", text) == "Certificate Sign")
        #expect(line(behind: "X509v3 Extended Key Usage", text) == "TLS Web Server Authentication")
        #expect(text.contains("NIST CURVE: P-256") && text.contains("gateway development CA"))
        #expect(authority.certificate.isSigned(by: authority))
        #expect((3649...3650).contains(authority.certificate.daysLeft))
    }

    @Test func `issues for the names, for less than 398 days`() throws {
        let (authority, key) = (try CertificateAuthority(of: "ada"), try CertificateKey())
        let issued = try authority.issue(for: names, to: key)
        let text = try shown(issued)
        #expect(line(behind: "X509v3 Basic Constraints: critical", text) == "CA:FALSE")
        #expect(line(behind: "X509v3 Key Usage: critical", text) == "Digital Signature")
        #expect(line(behind: "X509v3 Extended Key Usage", text) == "TLS Web Server Authentication")
        #expect(text.contains("X509v3 Authority Key Identifier"))
        #expect(issued.names == names)
        #expect((395...396).contains(issued.daysLeft))
        #expect(issued.isOfDevelopment && issued.belongs(to: key) && issued.isSigned(by: authority))
        for name in names + [.host("a.app.test")] { #expect(issued.covers(name)) }
        for name: CertificateName in [.host("app.test"), .host("a.b.app.test"), .address("127.0.0.2")] {
            #expect(!issued.covers(name))
        }
    }

    @Test func `is known again by what it wrote`() throws {
        let (authority, other) = (try CertificateAuthority(of: "ada"), try CertificateAuthority(of: "ada"))
        let certificate = try #require(try IssuedCertificate(authority.certificate.text))
        let key = try #require(try CertificateKey(authority.keyText))
        let again = CertificateAuthority(certificate, key: key)
        let issued = try again.issue(for: names, to: CertificateKey())
        #expect(issued.isSigned(by: authority) && !issued.isSigned(by: other) && issued.isOfDevelopment)
        #expect(certificate.tag == authority.certificate.tag && certificate.tag != other.certificate.tag)
        #expect(certificate.tag.count == 8)
        #expect(!issued.belongs(to: key))
    }

    @Test func `does not know what others made, or what is none`() throws {
        let identity = try TestIdentity("DNS:localhost", begin: -86_400 * 3, end: -86_400 - 60)
        let foreign = try #require(IssuedCertificate(Array(try identity.text(of: identity.certificate).utf8)))
        #expect(!foreign.isOfDevelopment && foreign.daysLeft == -2 && foreign.names == [.host("localhost")])
        #expect(IssuedCertificate(Array("nothing".utf8)) == nil)
        #expect(CertificateKey(Array("nothing".utf8)) == nil)
        #expect(ERR_peek_error() == 0)
    }

    @Test func `is served`() throws {
        let (authority, key) = (try CertificateAuthority(of: "ada"), try CertificateKey())
        let identity = try TestIdentity()
        let certificate = try authority.issue(for: names, to: key).text
        let file = try identity.file("dev.pem", String(decoding: certificate + key.text, as: UTF8.self))
        _ = try TLSContext([TLSCertificate(file)])
    }
}
