import Testing

@testable import GatewayConfiguration

@Suite("networks")
struct AddressPrefixTests {
    @Test(arguments: [
        ("all", "all"), ("unix:", "unix:"), ("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3/32", "10.1.2.3"), ("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"), ("::1/128", "::1"),
        ("2001:DB8::/32", "2001:db8::/32"), ("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::ffff:10.1.2.3", "10.1.2.3"),
        ("128.0.0.0/1", "128.0.0.0/1"), ("8000::/1", "8000::/1"), ("fe80::/10", "fe80::/10"),
    ])
    func `are read, and written in one form`(_ text: String, _ written: String) throws {
        #expect(try AddressPrefix(text).description == written)
        #expect(try AddressPrefix(text) == AddressPrefix(written))
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "9.255.255.255", false),
        ("10.1.2.3", "10.1.2.3", true), ("10.1.2.3", "10.1.2.2", false), ("10.1.2.2/31", "10.1.2.3", true),
        ("10.1.2.2/31", "10.1.2.4", false), ("0.0.0.0/0", "255.1.1.1", true), ("0.0.0.0/0", "::1", false),
        ("0.0.0.0/0", "::1.2.3.4", false), ("::/0", "::1", true), ("::/0", "10.0.0.1", true),
        ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::", false),
        ("2001:db8::/64", "2001:db8::1", true), ("2001:db8::/64", "2001:db8:0:1::", false),
        ("2001:db8::/65", "2001:db8::7fff:0:0:0", true), ("2001:db8::/65", "2001:db8::8000:0:0:0", false),
        ("::1", "::1", true), ("::1", "::2", false), ("10.0.0.0/8", "::ffff:10.0.0.1", true),
        ("::ffff:0:0/96", "10.0.0.1", true), ("all", "::1", true), ("unix:", "10.0.0.1", false),
    ])
    func `contain`(_ prefix: String, _ address: String, _ isContained: Bool) throws {
        #expect(try AddressPrefix(prefix).contains(NetworkAddress(address)) == isContained)
    }

    @Test func `peers of unix sockets are in no network`() throws {
        #expect(try AddressPrefix("unix:").contains(nil) && AddressPrefix("all").contains(nil))
        #expect(try !AddressPrefix("::/0").contains(nil) && !AddressPrefix("0.0.0.0/0").contains(nil))
    }

    @Test(arguments: [
        Refusal(
            "defaults { allow; }",
            [
                "1:12+5 error: \"allow\" needs addresses or networks: 10.0.0.0/8, 192.168.1.7, 2001:db8::/32, unix: or all"
            ]),
        Refusal(
            "defaults { deny localhost; }",
            [
                "1:17+9 error: \"localhost\" is no numeric address or network (10.0.0.0/8, 192.168.1.7, 2001:db8::/32, unix: or all)"
            ]),
        Refusal(
            "defaults { deny 10.0.0.0/33; }",
            [
                "1:17+11 error: \"10.0.0.0/33\" does not end in a number of bits from 0 to 32"
            ]),
        Refusal(
            "defaults { deny ::/129 ::/ ::/-1 ::/x; }",
            [
                "1:17+6 error: \"::/129\" does not end in a number of bits from 0 to 128",
                "1:24+3 error: \"::/\" does not end in a number of bits from 0 to 128",
                "1:28+5 error: \"::/-1\" does not end in a number of bits from 0 to 128",
                "1:34+4 error: \"::/x\" does not end in a number of bits from 0 to 128",
            ]),
        Refusal(
            "route /x { handler h; allow 10.1.2.3/8; }",
            [
                "1:29+10 error: \"10.1.2.3/8\" has bits set behind its first 8 (did you mean \"10.0.0.0/8\"?)"
            ]),
    ])
    func `what is none is refused, with its place`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }
}
