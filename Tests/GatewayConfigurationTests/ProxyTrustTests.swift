import GatewayConfiguration
import Testing

@Suite("gateway.conf: trusted_proxies and proxy_protocol")
struct ProxyTrustTests {
    @Test func `nobody is trusted by default`() throws {
        let trust = try #require(Reading(complete("")).configuration?.proxyTrust)
        #expect(trust.proxies.isEmpty && !trust.contains(NetworkAddress("127.0.0.1")) && !trust.contains(nil))
    }

    @Test(arguments: [
        ("127.0.0.1 10.0.0.0/8;", ProxyTrust.Header.xForwardedFor), ("127.0.0.1 10.0.0.0/8 { }", .xForwardedFor),
        ("127.0.0.1 10.0.0.0/8 { header forwarded; }", .forwarded), ("127.0.0.1 10.0.0.0/8 { header off; }", .off),
    ])
    func `networks and the header that is believed`(_ text: String, _ header: ProxyTrust.Header) throws {
        let trust = try #require(Reading(complete("trusted_proxies " + text)).configuration?.proxyTrust)
        #expect(trust.proxies.map(\.description) == ["127.0.0.1", "10.0.0.0/8"] && trust.header == header)
        #expect(trust.contains(NetworkAddress("10.9.9.9")) && !trust.contains(NetworkAddress("11.0.0.0")))
    }

    @Test func `listeners that take a PROXY header`() throws {
        let text = """
            trusted_proxies unix:; listen 1 { proxy_protocol on; } listen 2 { proxy_protocol off; } listen 3 { } listen 4;
            listen 5 tls { certificate a; proxy_protocol on; } route /x { handler h; }
            """
        let listeners = try #require(Reading(text).configuration?.listeners)
        #expect(listeners.map(\.takesProxyHeader) == [true, false, false, false, true])
        #expect(listeners.map { $0.tls != nil } == [false, false, false, false, true])
    }

    @Test(arguments: [
        Refusal(
            "trusted_proxies;",
            [
                "1:1+15 error: \"trusted_proxies\" needs addresses or networks: 10.0.0.0/8, 192.168.1.7, 2001:db8::/32, unix: or all"
            ]),
        Refusal(
            "trusted_proxies localhost;",
            [
                "1:17+9 error: \"localhost\" is no numeric address or network (10.0.0.0/8, 192.168.1.7, 2001:db8::/32, unix: or all)"
            ]),
        Refusal(
            "trusted_proxies ::1 { header x-real-ip; }",
            [
                "1:30+9 error: \"header\" takes \"x-forwarded-for\" or \"forwarded\" or \"off\", not \"x-real-ip\""
            ]),
        Refusal(
            "listen 2 { proxy_protocol yes; }",
            [
                "1:27+3 error: \"proxy_protocol\" takes \"on\" or \"off\", not \"yes\""
            ]),
        Refusal(
            "listen 2 { proxy_protocol on; }",
            [
                " error: \"proxy_protocol\" without \"trusted_proxies\": nobody could connect to 2"
            ]),
        Refusal(
            "listen 2 { certificate a; }",
            [
                "1:12+11 error: \"certificate\" is not allowed in the block of a \"listen\", only in the block of a \"listen\" with \"tls\""
            ]),
    ])
    func `is refused with the place and what is legal`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }
}
