import GatewayIO
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
}
