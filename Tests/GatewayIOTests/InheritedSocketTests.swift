import GatewayIO
import Glibc
import Testing

@Suite("InheritedSocket: what a descriptor of another process is")
struct InheritedSocketTests {
    @Test("a listening socket tells where it listens, and whether IPv4 comes in as well")
    func listening() throws {
        let four = try Listener(.ipv4([127, 0, 0, 1], port: 0))
        #expect(InheritedSocket(four.number).address == four.address)
        #expect(!InheritedSocket(four.number).isDualStack)
        let any = try Listener(.any(port: 0))
        #expect(InheritedSocket(any.number).isDualStack == (any.address.host == "::"))
    }

    @Test("anything else is none: a socket that does not listen, one of datagrams, a file, a number that nothing has")
    func others() throws {
        let idle = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let datagrams = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        let file = open("/dev/null", O_RDONLY)
        for number in [idle, datagrams, file, 65_000] { #expect(InheritedSocket(number).address == nil) }
        for number in [idle, datagrams, file] { close(number) }
    }

    @Test("a duplicate listens on when it is closed, and no program inherits it")
    func duplicate() throws {
        let listener = try Listener(.ipv4([127, 0, 0, 1], port: 0))
        let socket = InheritedSocket(listener.number)
        let copy = try socket.duplicate()
        #expect(fcntl(copy, F_GETFD) & FD_CLOEXEC != 0)
        InheritedSocket(copy).close()
        #expect(InheritedSocket(listener.number).address == listener.address)
        #expect(throws: Errno.self) { _ = try InheritedSocket(65_000).duplicate() }
    }
}
