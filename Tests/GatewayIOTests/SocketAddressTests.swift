import GatewayIO
import Glibc
import Testing

@Suite("An address is written as people write it")
struct SocketAddressTests {
    @Test(
        "texts",
        arguments: [
            (SocketAddress(host: "127.0.0.1", port: 80), "127.0.0.1:80"),
            (SocketAddress(host: "::1", port: 8080), "[::1]:8080"), (SocketAddress(host: "::", port: 0), "[::]:0"),
            (SocketAddress(host: "2001:db8::1", port: 65535), "[2001:db8::1]:65535"),
            (SocketAddress(unixPath: "/run/gw.sock"), "unix:/run/gw.sock"), (SocketAddress(unixPath: ""), "unix:"),
        ])
    func text(_ address: SocketAddress, text: String) { #expect(address.description == text) }

    @Test("a socket that is not connected has no peer, and the address of nobody")
    func unconnected() throws {
        let pair = try Loopback.pair()
        #expect(pair.ours.peerAddress == SocketAddress(unixPath: ""))
        let socket = Socket(adopting: -1)
        let (peer, local) = (socket.peerAddress, socket.localAddress)
        #expect(peer == nil)
        #expect(local == nil)
    }

    /// The address that the far end of a connection from `host` has for a listener of IPv4 or of both families.
    private func peer(from host: String, dualStack: Bool) throws -> String {
        let listener = socket(dualStack ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { [listener, client].forEach { close($0) } }
        var wide = sockaddr_in6()
        wide.sin6_family = sa_family_t(AF_INET6)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(dualStack ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size)
        func call(_ body: (UnsafeMutablePointer<sockaddr>) -> Int32) -> Int32 {
            withUnsafeMutablePointer(to: &wide) { wide in
                withUnsafeMutablePointer(to: &name) { name in
                    let raw = dualStack ? UnsafeMutableRawPointer(wide) : UnsafeMutableRawPointer(name)
                    return body(raw.assumingMemoryBound(to: sockaddr.self))
                }
            }
        }
        var length = size
        try #require(call { bind(listener, $0, size) } == 0 && listen(listener, 1) == 0)
        try #require(call { getsockname(listener, $0, &length) } == 0)
        var from = sockaddr_in()
        from.sin_family = sa_family_t(AF_INET)
        from.sin_addr.s_addr = inet_addr(host)
        // The port lies at the same place for both families.
        name.sin_port = dualStack ? wide.sin6_port : name.sin_port
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let short = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isConnected = withUnsafePointer(to: &from) { from in
            withUnsafePointer(to: &name) { name in
                from.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(client, $0, short) } == 0
                    && name.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(client, $0, short) } == 0
            }
        }
        try #require(isConnected)
        let server = Socket(adopting: accept(listener, nil, nil))
        let address = server.peerAddress
        return address?.host ?? "none"
    }

    @Test(
        "IPv4 in four numbers, also behind a listener for both families",
        arguments: ["127.0.0.1", "127.9.10.99", "127.100.199.200", "127.255.255.254"])
    func numbers(_ host: String) throws {
        #expect(try peer(from: host, dualStack: false) == host)
        #expect(try peer(from: host, dualStack: true) == host)
    }
}
