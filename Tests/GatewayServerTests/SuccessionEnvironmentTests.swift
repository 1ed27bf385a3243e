import GatewayIO
import Glibc
import Testing

@testable import GatewayServer

@Suite("SuccessionEnvironment: what one program of the gateway says to the next one")
struct SuccessionEnvironmentTests {
    @Test("descriptors are taken from the parent that named them, close-on-exec, each once")
    func taken() throws {
        var one = try DescriptorSocket.Pair()
        var other = try DescriptorSocket.Pair()
        guard let supervisor = one.takeNear()?.release(), let predecessor = other.takeNear()?.release() else {
            throw Errno(EBADF)
        }
        #expect(fcntl(supervisor, F_SETFD, 0) == 0)
        var environment = SuccessionEnvironment(
            ["GATEWAY_SUPERVISOR": "\(supervisor):12", "GATEWAY_PREDECESSOR": "\(predecessor):12"], parent: 12)
        let (isSuccessor, troubles) = (environment.isSuccessor, environment.troubles)
        #expect(isSuccessor && troubles.isEmpty)
        let numbers = (environment.takeSupervisor()?.number, environment.takePredecessor()?.release())
        #expect(numbers.0 == supervisor && numbers.1 == predecessor)
        let (again, isStill) = (environment.takePredecessor()?.number, environment.isSuccessor)
        #expect(again == nil && !isStill)
        // One was closed with its owner, the other was given away.
        #expect(fcntl(supervisor, F_GETFD) == -1 && fcntl(predecessor, F_GETFD) == FD_CLOEXEC)
        close(predecessor)
    }

    @Test("nothing said is nothing to complain about")
    func nothing() {
        var environment = SuccessionEnvironment(["PATH": "/bin"], parent: 1)
        let (isSuccessor, troubles) = (environment.isSuccessor, environment.troubles)
        #expect(!isSuccessor && troubles.isEmpty)
        let number = environment.takeSupervisor()?.number
        #expect(number == nil)
    }

    @Test(
        "what comes from another process, or names what is no such socket, is refused and named",
        arguments: ["", "x", "5", "5:6:7", "a:12", "5:b", "5:13", "1:12", "-1:12", "999999:12", "5:"])
    func refused(value: String) {
        let environment = SuccessionEnvironment(["GATEWAY_PREDECESSOR": value], parent: 12)
        let (isSuccessor, troubles) = (environment.isSuccessor, environment.troubles)
        #expect(!isSuccessor && troubles.count == 1 && troubles[0].contains("GATEWAY_PREDECESSOR"))
    }
}
