import Testing

@testable import GatewayIO

@Suite("PROXY protocol, versions 1 and 2")
struct ProxyHeaderTests {
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// Version 2: command, family and transport, and what follows.
    private static func binary(_ command: UInt8, _ family: UInt8, _ rest: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? rest.count
        return signature + [command, family, UInt8(length >> 8), UInt8(length & 255)] + rest
    }

    private static let ipv4: [UInt8] = [192, 0, 2, 7, 10, 0, 0, 1, 0xDC, 0x04, 0x00, 0x50]
    private static let ipv6: [UInt8] =
        [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [7] + [UInt8](repeating: 1, count: 16)
        + [0xDC, 0x04, 0x00, 0x50]

    private static let good: [(bytes: [UInt8], peer: String?)] = [
        (Array("PROXY TCP4 192.0.2.7 10.0.0.1 56324 80\r\n".utf8), "192.0.2.7:56324"),
        (Array("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".utf8), "255.255.255.255:65535"),
        (Array("PROXY TCP6 2001:DB8::7 ::1 56324 0\r\n".utf8), "[2001:db8::7]:56324"),
        (Array("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 80\r\n".utf8), "192.0.2.7:1"),
        (Array("PROXY UNKNOWN\r\n".utf8), nil),
        (Array("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".utf8), nil),
        // 107 bytes, the most there may be.
        (Array("PROXY UNKNOWN \(String(repeating: "x", count: 91))\r\n".utf8), nil),
        (binary(0x21, 0x11, ipv4), "192.0.2.7:56324"), (binary(0x21, 0x21, ipv6), "[2001:db8::7]:56324"),
        (binary(0x21, 0x11, ipv4 + [0x03, 0x00, 0x04, 1, 2, 3, 4]), "192.0.2.7:56324"),
        (binary(0x21, 0x11, ipv4 + [UInt8](repeating: 0, count: 4096 - 16 - 12)), "192.0.2.7:56324"),
        (binary(0x20, 0x00, []), nil), (binary(0x20, 0x11, ipv4), nil), (binary(0x21, 0x00, []), nil),
        (binary(0x21, 0x00, [1, 2, 3]), nil), (binary(0x21, 0x31, [UInt8](repeating: 65, count: 216)), nil),
    ]

    @Test func `is taken whole, byte by byte, and cut anywhere, with nothing of what follows`() throws {
        let rest: [UInt8] = Array("GET / HTTP/1.1\r\n".utf8)
        for (bytes, peer) in Self.good {
            var whole = ProxyHeader()
            #expect(try whole.take(bytes + rest) == bytes.count)
            #expect(whole.isWhole && whole.peer?.description == peer, "\(bytes)")
            #expect(try whole.take(rest) == 0)
            for cut in 0..<min(bytes.count, 130) {
                var header = ProxyHeader()
                #expect(try header.take(Array(bytes[..<cut])) == cut)
                #expect(!header.isWhole)
                #expect(try header.take(Array(bytes[cut...]) + rest) == bytes.count - cut)
                #expect(header.isWhole && header.peer?.description == peer)
            }
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n", "there is no PROXY header in front"), ("PROXX", "there is no PROXY header in front"),
        ("proxy TCP4", "there is no PROXY header in front"), ("\u{16}\u{3}\u{1}", "there is no PROXY header in front"),
        ("\r\n\r\nX", "there is no PROXY header in front"), ("PROXY\tTCP4", "there is no PROXY header in front"),
        ("PROXY UNKNOWN \(String(repeating: "x", count: 92))\r\n", "the PROXY header is too long"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 56324 80\n", "the PROXY header has a line end without CR"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n", "the PROXY header has a line of another form"),
        ("PROXY  TCP4 192.0.2.7 10.0.0.1 56324 80\r\n", "the PROXY header has a line of another form"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 56324 80 \r\n", "the PROXY header has a line of another form"),
        ("PROXY UDP4 192.0.2.7 10.0.0.1 56324 80\r\n", "the PROXY header has a line of another form"),
        ("PROXY TCP4 2001:db8::7 ::1 56324 80\r\n", "the PROXY header has an address that is none"),
        ("PROXY TCP6 192.0.2.7 10.0.0.1 56324 80\r\n", "the PROXY header has an address that is none"),
        ("PROXY TCP4 192.0.2.256 10.0.0.1 56324 80\r\n", "the PROXY header has an address that is none"),
        ("PROXY TCP4 192.0.2.7 nobody 56324 80\r\n", "the PROXY header has an address that is none"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 65536 80\r\n", "the PROXY header has a port that is none"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 080 80\r\n", "the PROXY header has a port that is none"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 +80 80\r\n", "the PROXY header has a port that is none"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1  80\r\n", "the PROXY header has a port that is none"),
    ])
    func `a text that is none`(_ text: String, _ why: String) {
        expectRefusal(Array(text.utf8), why)
    }

    @Test func `bytes that are none`() {
        expectRefusal(Self.binary(0x11, 0x11, Self.ipv4), "the PROXY header has version 1")
        expectRefusal(Self.binary(0x22, 0x11, Self.ipv4), "the PROXY header has command 2")
        expectRefusal(Self.binary(0x21, 0x12, Self.ipv4), "the PROXY header has the family and transport 18")
        expectRefusal(Self.binary(0x21, 0x41, Self.ipv4), "the PROXY header has the family and transport 65")
        expectRefusal(
            Self.binary(0x21, 0x11, Array(Self.ipv4.dropLast())), "the PROXY header has too few bytes of addresses")
        expectRefusal(Self.binary(0x21, 0x21, Self.ipv4), "the PROXY header has too few bytes of addresses")
        expectRefusal(
            Self.binary(0x21, 0x31, [UInt8](repeating: 0, count: 215)),
            "the PROXY header has too few bytes of addresses")
        expectRefusal(Self.binary(0x21, 0x11, [], length: 4096 - 15), "the PROXY header is too long")
        expectRefusal(Self.binary(0x21, 0x11, [], length: 65535), "the PROXY header is too long")
    }

    private func expectRefusal(_ bytes: [UInt8], _ why: String) {
        var whole = ProxyHeader()
        let error = #expect(throws: ProxyHeader.Failure.self) { try whole.take(bytes) }
        #expect(error?.description == why)
        var single = ProxyHeader()
        let same = #expect(throws: ProxyHeader.Failure.self) { for byte in bytes { _ = try single.take([byte]) } }
        #expect(same == error)
    }
}
