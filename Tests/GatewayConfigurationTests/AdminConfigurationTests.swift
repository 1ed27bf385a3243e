import GatewayConfiguration
import Testing

@Suite("gateway.conf: admin")
struct AdminConfigurationTests {
    @Test(arguments: [
        Acceptance("admin 127.0.0.1:9090;") {
            $0.admin?.address == .ipv4([127, 0, 0, 1], port: 9090) && $0.admin?.tokenFile == nil
        },
        Acceptance("admin [::1]:0 { }") { $0.admin?.address.port == 0 },
        Acceptance("admin unix:/run/admin.sock;") { $0.admin?.address == .unix(path: "/run/admin.sock") },
        Acceptance("admin 9090 { token_file /etc/token; }") { $0.admin?.tokenFile == "/etc/token" },
        Acceptance("admin 10.0.0.1:1 { token_file t; hosts GW.example.com metrics; }") {
            $0.admin?.tokenFile?.hasSuffix("/t") == true && $0.admin?.hosts == ["gw.example.com", "metrics"]
        },
        Acceptance("admin off;") { $0.admin == nil },
        Acceptance("") { $0.admin == nil },
    ])
    func `takes effect`(acceptance: Acceptance) {
        let reading = Reading(complete(acceptance.text))
        #expect(reading.findings == [])
        #expect(reading.configuration.map(acceptance.holds) == true)
    }

    @Test(arguments: [
        Refusal("admin 0.0.0.0:9090;", ["1:7+12 error: \"admin\" beyond this machine needs a token"]),
        Refusal("admin 9090;", ["1:7+4 error: \"admin\" beyond this machine needs a token"]),
        Refusal("admin fd:3 { hosts a; }", ["1:7+4 error: \"admin\" beyond this machine needs a token"]),
        Refusal("admin [::ffff:10.0.0.1]:1;", ["1:7+19 error: \"admin\" beyond this machine needs a token"]),
        Refusal("admin off { }", ["1:11+1 error: \"admin off\" takes no block"]),
        Refusal("admin 127.0.0.1:1 { token_file; }", ["1:21+10 error: \"token_file\" needs a file"]),
        Refusal("admin 127.0.0.1:1 { hosts; }", ["1:21+5 error: \"hosts\" needs at least one name"]),
        Refusal(
            "admin 127.0.0.1:1 { hosts a:1; }", ["1:27+3 error: \"a:1\" is not the name of a host, without a port"]),
        Refusal(
            "admin 127.0.0.1:1 { tokenfile a; }",
            [
                "1:21+9 error: unknown directive \"tokenfile\" (did you mean \"token_file\"?)"
            ]),
        Refusal(
            "token_file a;",
            [
                "1:1+10 error: \"token_file\" is not allowed at the top level, only in the block of \"admin\""
            ]),
        Refusal(
            "admin 127.0.0.1:7;\nlisten 127.0.0.1:7;",
            [
                "1:7+11 error: duplicate listener \"127.0.0.1:7\" (first set at gateway.conf:2)"
            ]),
    ])
    func `is refused with what to write instead`(refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }

    @Test(arguments: [
        ("127.0.0.1:1", true), ("127.9.9.9:1", true), ("[::1]:1", true), ("[::ffff:127.0.0.1]:1", true),
        ("unix:/a", true), ("1", false), ("0.0.0.0:1", false), ("[::]:1", false), ("[::2]:1", false),
        ("[1::1]:1", false), ("[::ffff:10.0.0.1]:1", false), ("fd:3", false),
    ])
    func `knows what only this machine gets to`(text: String, isLoopback: Bool) throws {
        let configuration = try Configuration.parse("listen \(text); route /r { handler h; }", file: "gateway.conf")
        #expect(configuration.configuration.listeners.first?.address.isLoopback == isLoopback)
    }

    @Test func `is printed as it is read`() throws {
        let text = "admin 127.0.0.1:9090 { token_file \"/etc/my token\"; hosts a b; }"
        let first = try Configuration.parse(complete(text), file: "/g/gateway.conf").configuration
        let again = try Configuration.parse(first.effectiveText(), file: "/g/gateway.conf").configuration
        #expect(again.admin?.tokenFile == "/etc/my token" && again.admin?.hosts == ["a", "b"])
        #expect(first.effectiveText().contains("\nadmin 127.0.0.1:9090 {"))
    }
}
