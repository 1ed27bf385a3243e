import GatewayTLS
import Testing

@Suite("Who a certificate may be issued for")
struct CertificateNameTests {
    @Test(arguments: [
        ("localhost", "localhost"), ("App.Test", "app.test"), ("*.app.test", "*.app.test"), ("my_svc", "my_svc"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("1.example", "1.example"), ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"), ("0:0:0:0:0:0:0:1", "::1"), ("FE80::1", "fe80::1"),
        (String(repeating: "a", count: 63) + ".b", String(repeating: "a", count: 63) + ".b"),
    ])
    func `is taken in one form`(_ text: String, _ form: String) throws {
        let name = try CertificateName(text)
        #expect(name.description == form)
        let isAddress = form.contains(":") || form.allSatisfy { $0.isNumber || $0 == "." }
        #expect(name == (isAddress ? .address(form) : .host(form)))
    }

    @Test(arguments: [
        ("", "is no host"), ("a..b", "is no host"), ("a.", "is no host"), (".a", "is no host"), ("-a", "is no host"),
        ("a-", "is no host"), ("a b", "is no host"), ("a,DNS:b", "is no host"), ("a.*.b", "is no host"),
        ("a*.b.c", "is no host"), (String(repeating: "a", count: 64), "is no host"),
        (String(repeating: "a.", count: 126) + "aa", "is no host"), ("a\nb", "is no host"),
        ("*", "would be matched by no client"), ("*.test", "would be matched by no client"),
        ("1.2.3", "looks like an IPv4 address"), ("300.1.1.1", "looks like an IPv4 address"),
        ("bücher.example", "is not ASCII"), ("https://a", "neither scheme nor port nor brackets"),
        ("a:8443", "neither scheme nor port nor brackets"), ("[::1]", "neither scheme nor port nor brackets"),
    ])
    func `is refused with a reason`(_ text: String, _ reason: String) {
        let failure = #expect(throws: CertificateName.Failure.self) { try CertificateName(text) }
        #expect(failure?.reason.contains(reason) == true, "\(failure?.reason ?? "")")
    }
}
