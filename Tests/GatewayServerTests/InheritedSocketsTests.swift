import GatewayConfiguration
import GatewayIO
import Glibc
import Testing

@testable import GatewayServer

@Suite("InheritedSockets: a listen line takes the socket of its address")
struct InheritedSocketsTests {
    /// Sockets as a service manager has them, under numbers that follow one another from 3 in the eyes of the gateway.
    private func inherit(_ address: Listener.Address, _ body: (InheritedSockets, SocketAddress) throws -> Void) throws {
        let listener = try Listener(address)
        // The gateway owns what it inherits.
        let number = fcntl(listener.number, F_DUPFD_CLOEXEC, 200)
        let inherited = InheritedSockets([.init(number: number, name: "http")])
        try body(inherited, listener.address)
    }

    private func address(_ text: String) throws -> ListenAddress {
        try #require(
            try Configuration.parse("listen \(text);", file: "g.conf").configuration.listeners.first?.address)
    }

    @Test("the same address, and no other")
    func addresses() throws {
        try inherit(.ipv4([127, 0, 0, 1], port: 0)) { inherited, bound in
            for other in ["127.0.0.1:0", "[::1]:\(bound.port)", "\(bound.port)", "127.0.0.2:\(bound.port)", "unix:/x"] {
                #expect(try inherited.take(address(other)) == nil, "\(other)")
            }
            let taken = try #require(try inherited.take(address("127.0.0.1:\(bound.port)")))
            #expect(taken.name == "http" && InheritedSocket(taken.number).address == bound)
            close(taken.number)
            #expect(inherited.closeOthers() == [])
        }
    }

    @Test("a port alone is the socket of every address")
    func everyAddress() throws {
        try inherit(.any(port: 0)) { inherited, bound in
            let taken = try #require(try inherited.take(address("\(bound.port)")))
            close(taken.number)
        }
        try inherit(.ipv4([0, 0, 0, 0], port: 0)) { inherited, bound in
            for line in ["\(bound.port)", "0.0.0.0:\(bound.port)"] {
                let taken = try #require(try inherited.take(address(line)))
                close(taken.number)
            }
        }
    }

    @Test("a socket file is known by its path, and stays when it is let go of")
    func unix() throws {
        let path = "/tmp/gateway-inherited-\(getpid())-\(UInt64.random(in: 0...(.max)))"
        try inherit(.unix(path: path)) { inherited, _ in
            #expect(try inherited.take(address("unix:/tmp/other")) == nil)
            let taken = try #require(try inherited.take(address("unix:\(path)")))
            do {
                let listener = try Listener(.inherited(taken.number))
                listener.close()
            }
            #expect(access(path, F_OK) == 0)
            // As after a reload that took the line away, and one that brought it back.
            let again = try #require(try inherited.take(address("unix:\(path)")))
            close(again.number)
        }
    }

    @Test("one that no line takes is closed, and named")
    func others() throws {
        try inherit(.ipv4([127, 0, 0, 1], port: 0)) { inherited, bound in
            let warnings = inherited.closeOthers()
            #expect(warnings.count == 1)
            #expect(
                warnings.first?.contains("(\"http\") was closed: no \"listen\" line is for the socket \(bound)") == true
            )
            let taken = try inherited.take(address("127.0.0.1:\(bound.port)"))
            #expect(taken == nil)
        }
        let file = open("/dev/null", O_RDONLY)
        let warnings = InheritedSockets([.init(number: file, name: "store")]).closeOthers()
        #expect(warnings.first?.contains("what is no listening stream socket") == true)
        #expect(fcntl(file, F_GETFD) < 0)
    }
}
