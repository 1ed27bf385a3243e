import GatewayIO
import Glibc
import Testing

@testable import GatewayServer

@Suite("IsolatedPort: connections are given to the process that there is, and to no other")
struct IsolatedPortTests {
    private static func port() throws -> IsolatedPort {
        IsolatedPort(handler: "chat", generation: 1, bell: try ControlWaker())
    }

    /// A descriptor to be given away.
    private static func descriptor() -> Int32 { dup(STDERR_FILENO) }

    private static let id = ConnectionID(worker: 1, slot: 2, serial: 3)

    @Test("without a process nothing is taken, and nothing stays open")
    func none() throws {
        let port = try Self.port()
        let descriptor = Self.descriptor()
        #expect(port.give(Self.id, [1], descriptor, isRelayed: false) == 0)
        #expect(fcntl(descriptor, F_GETFD) == -1)
        #expect(port.takeItems().isEmpty)
    }

    @Test("each process has a number of its own, and what the one before was given is not given to it")
    func processes() throws {
        let port = try Self.port()
        port.begin()
        #expect(port.give(Self.id, [1], Self.descriptor(), isRelayed: false) == 1)
        port.end()
        #expect(port.process == 0)
        port.begin()
        #expect(port.process == 2)
        #expect(port.takeItems().isEmpty)
        #expect(port.give(Self.id, [2], Self.descriptor(), isRelayed: false) == 2)
        let items = port.takeItems()
        #expect(items.map(\.record) == [[2]])
        #expect(items.map(\.worker) == [1])
    }

    @Test("a port that is given up says why, until there is a process again")
    func givenUp() throws {
        let port = try Self.port()
        port.begin()
        port.giveUp(IsolationFailure(code: 1011, reason: "it crashed"))
        #expect(port.refusal?.reason == "it crashed")
        #expect(port.process == 0)
        port.begin()
        #expect(port.refusal == nil)
    }

    @Test("the module of a process comes over as a text")
    func module() {
        let module = GivenModule(path: "/run/a:b.so", generation: 12)
        #expect(GivenModule(module.text) == module)
        for text in ["", "1", "1:", "1:b.so", "x:/b.so", ":/b.so"] { #expect(GivenModule(text) == nil) }
    }
}
