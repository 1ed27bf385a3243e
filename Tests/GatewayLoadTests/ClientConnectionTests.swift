import GatewayLoad
import Glibc
import Testing

@Suite("A client that a person holds opens, or says why not")
struct ClientConnectionTests {
    private func failure(_ port: UInt16) throws -> ClientConnection.Failure? {
        let request = ClientRequest(try Destination(url: "ws://127.0.0.1:\(port)/"))
        do throws(ClientConnection.Failure) {
            _ = try ClientConnection.open(request)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a refusal is told with its status`() throws {
        let server = try ScriptedServer(.refuses)
        guard case .refused(let answer) = try failure(server.port) else {
            Issue.record("it was not refused")
            return
        }
        #expect(answer.status == 403 && answer.phrase == "Forbidden")
        withExtendedLifetime(server) {}
    }

    @Test func `an accept value that answers another key is no handshake`() throws {
        let server = try ScriptedServer(.honest)
        #expect(try failure(server.port) == .broken("the reply has a wrong Sec-WebSocket-Accept, or none"))
        withExtendedLifetime(server) {}
    }

    @Test func `where nobody listens is told with the address`() throws {
        // Bound and deaf, so that nobody else can come to listen there.
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(number) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(number, address, length) == 0 && getsockname(number, address, &length) == 0
            }
        }
        #expect(isBound)
        let port = UInt16(bigEndian: name.sin_port)
        #expect(try failure(port) == .unreachable("127.0.0.1:\(port): Connection refused"))
    }
}
