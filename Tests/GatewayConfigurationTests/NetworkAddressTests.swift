import GatewayConfiguration
import Testing

@Suite("addresses as numbers")
struct NetworkAddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"), ("::1", "::1"), ("::", "::"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("::ffff:10.1.2.3", "10.1.2.3"), ("::ffff:a01:203", "10.1.2.3"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ])
    func `are read, and written in one form`(_ text: String, _ written: String) throws {
        #expect(try #require(NetworkAddress(text)).description == written)
        #expect(NetworkAddress(text) == NetworkAddress(written))
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", " 1.2.3.4", "1.2.3.4 ", "[::1]", "::1%lo", "1:2", ":::",
        "1.2.3.4:80", "example.com", "0x7f.1", "::ffff:1.2.3.4\u{0}", String(repeating: "1", count: 1000),
    ])
    func `what is none`(_ text: String) { #expect(NetworkAddress(text) == nil) }

    @Test func `come from bytes`() {
        #expect(NetworkAddress([10, 1, 2, 3]) == NetworkAddress("10.1.2.3"))
        #expect(NetworkAddress([UInt8](repeating: 0, count: 15) + [1]) == NetworkAddress("::1"))
        #expect(NetworkAddress([UInt8](repeating: 0, count: 15)) == nil && NetworkAddress([]) == nil)
    }

    @Test func `one subscriber has an IPv4 address, or 64 bits of IPv6`() {
        #expect(NetworkAddress("10.1.2.3")?.subscriber != NetworkAddress("10.1.2.4")?.subscriber)
        #expect(NetworkAddress("2001:db8::1")?.subscriber == NetworkAddress("2001:db8::ffff:0:0:1")?.subscriber)
        #expect(NetworkAddress("2001:db8::1")?.subscriber != NetworkAddress("2001:db8:0:1::1")?.subscriber)
        #expect(NetworkAddress("::ffff:10.1.2.3")?.subscriber == NetworkAddress("10.1.2.3")?.subscriber)
    }
}
