import GatewayConfiguration
import GatewayIO
import HTTP
import Testing

@testable import GatewayServer

@Suite("trusted_proxies: who has asked")
struct TrustedProxiesTests {
    private func trust(_ text: String) throws -> ProxyTrust {
        let text = "listen 1; route /x { handler h; } trusted_proxies \(text)"
        return try Configuration.parse(text, file: "g").configuration.proxyTrust
    }

    private func head(_ lines: [String]) throws -> RequestHead {
        let text = (["GET / HTTP/1.1", "Host: a"] + lines + ["", ""]).joined(separator: "\r\n")
        var reader = RequestHeadReader(limits: HeadLimits(maxHead: 10_000, maxHeaders: 100))
        guard
            case .head(let head, _) = try Array(text.utf8).withUnsafeBytes({
                try reader.read(RawSpan(_unsafeBytes: $0))
            })
        else { throw Incomplete() }
        return head
    }

    private struct Incomplete: Error {}

    @Test(arguments: [
        (["X-Forwarded-For: 203.0.113.7"], "203.0.113.7:0"),
        (["X-Forwarded-For: 203.0.113.7:4711"], "203.0.113.7:4711"),
        (["X-Forwarded-For: 6.6.6.6, 203.0.113.7"], "203.0.113.7:0"),
        (["X-Forwarded-For: 203.0.113.7, 10.1.1.1, 10.2.2.2"], "203.0.113.7:0"),
        (["X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 10.1.1.1"], "203.0.113.7:0"),
        (["X-Forwarded-For: 10.1.1.1", "X-Forwarded-For: 203.0.113.7"], "203.0.113.7:0"),
        (["X-Forwarded-For: 10.1.1.1, 10.2.2.2"], "10.1.1.1:0"),
        (["X-Forwarded-For: 2001:db8::7"], "[2001:db8::7]:0"),
        (["X-Forwarded-For: [2001:DB8::7]:80"], "[2001:db8::7]:80"),
        (["X-Forwarded-For: [2001:db8::7]"], "[2001:db8::7]:0"),
        (["X-Forwarded-For: ::ffff:203.0.113.7"], "203.0.113.7:0"),
        // What is no address ends the walk.
        (["X-Forwarded-For: 203.0.113.7, unknown"], "10.0.0.9:5"),
        (["X-Forwarded-For: 203.0.113.7, , "], "203.0.113.7:0"),
        (["X-Forwarded-For: 203.0.113.7, unknown, 10.1.1.1"], "10.1.1.1:0"),
        (["X-Forwarded-For: 203.0.113.7 10.1.1.1"], "10.0.0.9:5"), (["X-Forwarded-For: 203.0.113.7:"], "10.0.0.9:5"),
        (["X-Forwarded-For: 203.0.113.7:65536"], "10.0.0.9:5"), (["X-Forwarded-For: [203.0.113.7]"], "10.0.0.9:5"),
        (["X-Forwarded-For: [::1"], "10.0.0.9:5"), (["X-Forwarded-For: \"203.0.113.7\""], "10.0.0.9:5"),
        (["X-Forwarded-For: \(String(repeating: "1", count: 500))"], "10.0.0.9:5"),
        (["X-Forwarded-For:"], "10.0.0.9:5"),
        (["Forwarded: for=203.0.113.7"], "10.0.0.9:5"), ([], "10.0.0.9:5"),
    ])
    func `x-forwarded-for is walked from its end, past those that are trusted`(_ lines: [String], _ peer: String) throws
    {
        let trust = try trust("10.0.0.0/8;")
        let found = trust.forwarded(try head(lines), from: SocketAddress(host: "10.0.0.9", port: 5))
        #expect(found?.address.description == peer)
    }

    @Test(arguments: [
        (["Forwarded: for=203.0.113.7"], "203.0.113.7:0", false),
        (["Forwarded: for=203.0.113.7;proto=https, for=10.1.1.1;proto=http"], "203.0.113.7:0", true),
        (["Forwarded: for=203.0.113.7;proto=http, for=10.1.1.1;proto=https"], "203.0.113.7:0", false),
        (["Forwarded: for=6.6.6.6;proto=https, for=\"[2001:db8::7]:80\""], "[2001:db8::7]:80", false),
        (["Forwarded: for=203.0.113.7;proto=https, for=unknown"], "10.0.0.9:5", false),
        (["Forwarded: for=203.0.113.7, proto=https"], "10.0.0.9:5", false),
        (["Forwarded: for=203.0.113.7, for=_hidden"], "10.0.0.9:5", false),
        (["Forwarded: for=203.0.113.7, garbage"], "10.0.0.9:5", false),
        (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https"], "10.0.0.9:5", false),
    ])
    func `forwarded is walked in the same way`(_ lines: [String], _ peer: String, _ isSecure: Bool) throws {
        let trust = try trust("10.0.0.0/8 { header forwarded; }")
        let found = try #require(trust.forwarded(try head(lines), from: SocketAddress(host: "10.0.0.9", port: 5)))
        #expect(found.address.description == peer && found.isSecure == isSecure)
    }

    @Test(arguments: [
        (["X-Forwarded-Proto: https"], true), (["X-Forwarded-Proto: HTTPS"], true), (["X-Forwarded-Proto: wss"], true),
        (["X-Forwarded-Proto: http"], false), (["X-Forwarded-Proto: https, http"], false),
        (["X-Forwarded-Proto: http", "X-Forwarded-Proto: https"], false), (["X-Forwarded-Proto: https, https"], true),
        (["X-Forwarded-Proto: httpss"], false), (["X-Forwarded-Proto:"], false), ([], false),
    ])
    func `the scheme`(_ lines: [String], _ isSecure: Bool) throws {
        let found = try trust("unix:;").forwarded(try head(lines), from: SocketAddress(unixPath: ""))
        #expect(found?.isSecure == isSecure)
    }

    @Test func `nobody else is believed`() throws {
        let head = try head(["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", "Forwarded: for=203.0.113.7"])
        let inside = SocketAddress(host: "10.0.0.9", port: 5)
        let outside = SocketAddress(host: "11.0.0.9", port: 5)
        for text in ["10.0.0.0/8;", "10.0.0.0/8 { header forwarded; }", "unix:;"] {
            #expect(try trust(text).forwarded(head, from: outside) == nil)
            #expect(try trust(text).forwarded(head, from: nil) == nil)
        }
        #expect(try trust("unix:;").forwarded(head, from: inside) == nil)
        #expect(try trust("10.0.0.0/8;").forwarded(head, from: SocketAddress(unixPath: "")) == nil)
        #expect(try trust("10.0.0.0/8 { header off; }").forwarded(head, from: inside) == nil)
        #expect(try trust("unix:;").forwarded(head, from: SocketAddress(unixPath: ""))?.address.host == "203.0.113.7")
    }
}
