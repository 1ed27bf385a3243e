import GatewayIO
import Glibc
import TestSupport
import Testing

@testable import GatewayControl

@Suite("RivalGateway: who listens at a control socket already")
struct RivalGatewayTests {
    /// A socket that only the thread that answers touches.
    private final class Owner: @unchecked Sendable {
        var socket: ControlSocket
        init(_ path: String) throws { socket = try ControlSocket(path: path) }
    }

    private func path() -> String { "/tmp/gateway-rival-\(getpid())-\(UInt64.random(in: 0...(.max)))" }

    @Test("it is asked what it serves, and the kernel who it is")
    func answers() throws {
        let path = path()
        let text = #"{"process":{"pid":1,"configuration":"/etc/g \"x\".conf"}}"#
        let owner = try Owner(path)
        let thread = RunningThread {
            var isAnswered = false
            while !isAnswered {
                for request in (try? owner.socket.turn()) ?? [] {
                    owner.socket.answer(request.client, ControlAnswer(text, exit: 1))
                    isAnswered = true
                }
                sched_yield()
            }
        }
        let rival = RivalGateway(at: path, seconds: 10)
        thread.join()
        #expect(rival == RivalGateway(process: getpid(), configuration: "/etc/g \"x\".conf"))
        let said = try #require(rival).refusal(at: path)
        #expect(said.contains("process \(getpid())") && said.contains("/etc/g \"x\".conf") && said.contains(path))
    }

    @Test("one that does not answer is known by its process, and not waited for long")
    func silent() throws {
        let path = path()
        let listener = try Listener(.privateUnix(path: path))
        let rival = try #require(RivalGateway(at: path, seconds: 1))
        #expect(rival == RivalGateway(process: getpid(), configuration: nil))
        #expect(rival.refusal(at: path).contains("process \(getpid()) listens at"))
        listener.close()
    }

    @Test("where nothing is, or something else, nobody is")
    func nobody() throws {
        let path = path()
        #expect(RivalGateway(at: path) == nil)
        let other = DatagramListener(isAbstract: false)
        #expect(RivalGateway(at: other.name) == nil)
        #expect(RivalGateway(at: "/dev/null") == nil)
    }

    @Test(
        "what is no status names no file",
        arguments: ["", "{}", #"{"configuration":null}"#, #"{"configuration":"/etc"#, #"{"configuration":"/etc\"#])
    func nonsense(json: String) { #expect(RivalGateway.configuration(in: json) == nil) }
}
