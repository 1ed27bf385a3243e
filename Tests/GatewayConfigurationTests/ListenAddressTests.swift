import GatewayConfiguration
import Testing

@Suite("gateway.conf: listen")
struct ListenAddressTests {
    @Test(arguments: [
        ("8080", ListenAddress.any(port: 8080)),
        ("0", .any(port: 0)),
        ("65535", .any(port: 65535)),
        ("*:8080", .any(port: 8080)),
        ("127.0.0.1:8080", .ipv4([127, 0, 0, 1], port: 8080)),
        ("0.0.0.0:0", .ipv4([0, 0, 0, 0], port: 0)),
        ("[::1]:8080", .ipv6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port: 8080)),
        ("[2001:DB8::]:1", .ipv6([0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], port: 1)),
        ("unix:/run/gateway.sock", .unix(path: "/run/gateway.sock")),
        ("unix:run/g.sock", .unix(path: "/etc/gateway/run/g.sock")),
        ("unix:./g.sock", .unix(path: "/etc/gateway/g.sock")),
        ("fd:3", .descriptor(3)),
        ("fd:65535", .descriptor(65535)),
    ])
    func `reads every form`(_ text: String, _ address: ListenAddress) {
        let listeners = Reading("listen \(text); console /;", file: "/etc/gateway/g.conf").configuration?.listeners
        #expect(listeners?.map(\.address) == [address])
        #expect(listeners?.map(\.origin.description) == ["/etc/gateway/g.conf:1"])
    }

    @Test(arguments: [
        ListenAddress.any(port: 80), .ipv4([10, 0, 0, 255], port: 1), .unix(path: "/a"), .descriptor(9),
        .ipv6([0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], port: 2),
    ])
    func `its description reads back`(_ address: ListenAddress) {
        let configuration = Reading("listen \(address); console /;").configuration
        #expect(configuration?.listeners.map(\.address) == [address])
    }

    @Test func `a socket path has 107 bytes and not one more`() {
        let fits = "unix:/" + String(repeating: "a", count: 106)
        #expect(Reading("listen \(fits); console /;").findings == [])
        #expect(
            Reading("listen \(fits)a; console /;").findings
                == [
                    "1:8+113 error: \"unix:/\(String(repeating: "a", count: 54))...\" is longer than the 107 bytes "
                        + "a socket path may have"
                ])
    }

    @Test func `several listeners keep their order, and port 0 may stand twice`() {
        let configuration = Reading("listen 0; listen 81; listen fd:3; listen 0; console /;").configuration
        #expect(
            configuration?.listeners.map(\.address) == [.any(port: 0), .any(port: 81), .descriptor(3), .any(port: 0)])
    }

    @Test(arguments: refusedListeners)
    func `refuses what is no address`(_ refusal: Refusal) {
        #expect(Reading(refusal.text).findings == refusal.findings)
    }
}

private let forms = "8080, *:8080, 127.0.0.1:8080, [::1]:8080, unix:/path or fd:3"
private let refusedListeners: [Refusal] = [
    Refusal(
        "listen;",
        ["1:1+6 error: \"listen\" needs an address: \(forms)"]),
    Refusal(
        "listen localhost:8080;",
        ["1:8+14 error: \"localhost:8080\" is not a numeric address (names are not looked up; known are \(forms))"]),
    Refusal(
        "listen 8080; listen *:8080;",
        ["1:21+6 error: duplicate listener \"*:8080\" (first set at gateway.conf:1)"]),
    Refusal(
        "listen 127.0.0.1:80;\nlisten 127.0.0.1:80;",
        ["2:8+12 error: duplicate listener \"127.0.0.1:80\" (first set at gateway.conf:1)"]),
    Refusal(
        "listen 70000;",
        ["1:8+5 error: \"70000\" does not end in a port from 0 to 65535"]),
    Refusal(
        "listen 99999999999999999999;",
        ["1:8+20 error: \"99999999999999999999\" does not end in a port from 0 to 65535"]),
    Refusal(
        "listen 127.0.0.1;",
        ["1:8+9 error: \"127.0.0.1\" is not an address to listen on (\(forms))"]),
    Refusal(
        "listen ::1:8080;",
        ["1:8+8 error: \"::1:8080\" is ambiguous: an IPv6 address stands in brackets, [::1]:8080"]),
    Refusal(
        "listen [::g]:1;",
        ["1:8+7 error: \"[::g]:1\" is not an IPv6 address and a port"]),
    Refusal(
        "listen []:1;",
        ["1:8+4 error: \"[]:1\" is not a numeric address (names are not looked up; known are \(forms))"]),
    Refusal(
        "listen [::1];",
        ["1:8+5 error: \"[::1]\" does not end in a port from 0 to 65535"]),
    Refusal(
        "listen unix:;",
        ["1:8+5 error: \"unix:\" has no path behind \"unix:\""]),
    Refusal(
        "listen unix:@a;",
        ["1:8+7 error: \"unix:@a\" is an abstract socket, which any user could take over; give a path"]),
    Refusal(
        "listen fd:2;",
        ["1:8+4 error: \"fd:2\" does not name a descriptor from 3 to 65535"]),
    Refusal(
        "listen fd:65536;",
        ["1:8+8 error: \"fd:65536\" does not name a descriptor from 3 to 65535"]),
    Refusal(
        "listen fd:x;",
        ["1:8+4 error: \"fd:x\" does not name a descriptor from 3 to 65535"]),
    Refusal(
        "listen 127.0.0.1:;",
        ["1:8+10 error: \"127.0.0.1:\" does not end in a port from 0 to 65535"]),
    Refusal(
        "listen +1;",
        ["1:8+2 error: \"+1\" is not an address to listen on (\(forms))"]),
    Refusal(
        "listen -1;",
        ["1:8+2 error: \"-1\" is not an address to listen on (\(forms))"]),
    Refusal(
        "listen :80;",
        ["1:8+3 error: \":80\" is not a numeric address (names are not looked up; known are \(forms))"]),
    Refusal(
        "listen 127.0.0.256:80;",
        ["1:8+14 error: \"127.0.0.256:80\" is not a numeric address (names are not looked up; known are \(forms))"]),
    Refusal(
        "listen fe80::1%eth0:80;",
        ["1:8+15 error: \"fe80::1%eth0:80\" is ambiguous: an IPv6 address stands in brackets, [::1]:8080"]),
    Refusal(
        "listen [fe80::1%eth0]:80;",
        ["1:8+17 error: \"[fe80::1%eth0]:80\" is not an IPv6 address and a port"]),
    Refusal(
        "listen 80 81;",
        ["1:11+2 error: unexpected \"81\" behind the address"]),
    Refusal(
        "listen 8443 tls on;",
        [
            "1:17+2 error: \"tls\" takes a block, not \"on\" (write: listen 8443 tls { certificate cert.pem key.pem; })"
        ]),
    Refusal(
        "listen 8443 ssl;",
        ["1:13+3 error: \"ssl\" is written \"tls\" here: listen 8443 tls { certificate cert.pem key.pem; }"]),
    Refusal(
        "listen 8443 http;",
        ["1:13+4 error: \"http\" need not be said; a listener without \"tls\" is that"]),
    Refusal(
        "listen 8443 proxy_protocol;",
        ["1:13+14 error: \"proxy_protocol\" stands in the block: listen 8081 { proxy_protocol on; }"]),
    Refusal(
        "listen 8443 tls;",
        ["1:16+1 error: \"tls\" needs a block in braces, with a certificate"]),
    Refusal(
        "listen 8443 tls { certificate a; key b; }",
        ["1:34+3 error: unknown directive \"key\""]),
    Refusal(
        "listen 8443 tls { }; ",
        ["1:20+1 error: unexpected \";\""]),
    Refusal(
        "listen 8443 tls { }",
        ["1:1+6 error: there is no \"certificate\" in the block of \"tls\""]),
    Refusal(
        "listen 8443 tls { certificate; }",
        ["1:19+11 error: \"certificate\" needs a file, and that of its key"]),
    Refusal(
        "listen 8443 tls { certificate a b c; }",
        ["1:35+1 error: unexpected \"c\""]),
    Refusal(
        "listen 8443 tls { certificate a; protocols 1.1; }",
        ["1:44+3 error: \"protocols\" takes 1.2, 1.3 or both, not \"1.1\""]),
    Refusal(
        "listen 8443 tls { certificate a; protocols; }",
        ["1:34+9 error: \"protocols\" needs 1.2, 1.3 or both"]),
    Refusal(
        "listen 8443 tls { certificate a; client_ca a; }",
        ["1:34+9 error: \"client_ca\" needs a file, and \"optional\" or \"required\""]),
    Refusal(
        "listen 8443 tls { certificate a; client_ca a perhaps; }",
        ["1:46+7 error: \"client_ca\" takes a file, and \"optional\" or \"required\", not \"perhaps\""]),
    Refusal(
        "listen 8443 tls { certificate a; client_ca a required b; }",
        ["1:55+1 error: unexpected \"b\""]),
    Refusal(
        "listen 8443 tls { certificate a; handshake_limit 0; }",
        ["1:50+1 error: \"0\" is out of range for \"handshake_limit\" (1 to 1000000)"]),
    Refusal(
        "listen 8443 tls { certificate a; ciphers; }",
        ["1:34+7 error: \"ciphers\" needs a list in quotes, such as \"ECDHE+AESGCM\""]),
    Refusal(
        "listen 8443 tls { certificate a; http2 perhaps; }",
        ["1:40+7 error: \"http2\" takes \"on\" or \"off\", not \"perhaps\""]),
    Refusal(
        "listen 8443 http2;",
        ["1:13+5 error: \"http2\" stands in the block: listen 8080 { http2 on; }"]),
    Refusal(
        "listen 8443 { max_streams 0; }",
        ["1:27+1 error: \"0\" is out of range for \"max_streams\" (1 to 100000)"]),
    Refusal(
        "certificate a; listen 1;",
        [
            "1:1+11 error: \"certificate\" is not allowed at the top level, only in the block of a \"listen\" with \"tls\""
        ]),
    Refusal(
        "listen '';",
        ["1:8+2 error: \"\" is not an address to listen on (\(forms))"]),
]
