import GatewayIO
import GatewayTLS
import Glibc
import Testing

@Suite("TLS on the client's side, against our own server's")
struct TLSClientTests {
    /// Both ends of a pair of sockets, stepped by the test.
    private final class Pair {
        let client: TLSLayer
        let server: TLSLayer
        private let theirs: Socket
        private let ours: Socket

        init(_ client: TLSClient, _ context: TLSContext) {
            var numbers: [Int32] = [-1, -1]
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            precondition(socketpair(AF_UNIX, kind, 0, &numbers) == 0)
            ours = Socket(adopting: numbers[0])
            theirs = Socket(adopting: numbers[1])
            self.client = client.makeLayer()
            server = context.makeLayer()!
        }

        /// Makes the handshake, as far as it comes.
        func shake() {
            for _ in 0..<4 {
                _ = client.flush(ours)
                _ = serverReads()
                _ = server.flush(theirs)
                if clientReads() != [] { return }
            }
        }

        func serverReads() -> [UInt8]? { Self.read(server, theirs) }
        func clientReads() -> [UInt8]? { Self.read(client, ours) }
        func serverWrites(_ bytes: [UInt8]) -> IOResult { bytes.withUnsafeBytes { server.write(theirs, $0) } }
        func clientWrites(_ bytes: [UInt8]) -> IOResult { bytes.withUnsafeBytes { client.write(ours, $0) } }

        /// Something that is no TLS.
        func serverSays(_ text: String) { _ = theirs.write(Array(text.utf8)[...]) }

        /// nil at the end, of whatever kind.
        private static func read(_ layer: TLSLayer, _ socket: borrowing Socket) -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: 65536)
            return switch bytes.withUnsafeMutableBytes({ layer.read(socket, into: $0) }) {
            case .moved(let count): Array(bytes[..<count])
            case .wouldBlock: []
            case .endOfStream, .failed: nil
            }
        }
    }

    private let identity: TestIdentity
    private let context: TLSContext

    init() throws {
        identity = try TestIdentity("DNS:localhost,IP:127.0.0.1")
        context = try TLSContext([TLSCertificate(identity.certificate, key: identity.key)])
    }

    private func pair(
        _ host: String, _ trust: TLSClient.Trust? = nil, resumes: Bool = false
    ) throws -> Pair {
        Pair(try TLSClient(host: host, trusting: trust ?? .file(identity.certificate), resumes: resumes), context)
    }

    @Test("a certificate for the host is trusted, a name or an address", arguments: ["localhost", "127.0.0.1"])
    func trusted(_ host: String) throws {
        let pair = try pair(host)
        pair.shake()
        #expect(pair.client.isOpen && !pair.client.isUntrusted)
        #expect(pair.client.security?.version == "TLSv1.3")
        #expect(pair.client.security?.cipher == "TLS_AES_128_GCM_SHA256")
        // RFC 6066 3: an address is no server name.
        #expect(pair.server.serverName == (host == "localhost" ? host : nil))
        #expect(pair.clientWrites(Array("hello".utf8)) == .moved(5))
        #expect(pair.serverReads() == Array("hello".utf8))
        #expect(pair.serverWrites([UInt8](repeating: 7, count: 40_000)) == .moved(40_000))
        #expect(pair.clientReads() == [UInt8](repeating: 7, count: 40_000))
    }

    @Test(
        "what is not to be trusted is told with its reason",
        arguments: [
            ("localhost", "self-signed certificate", TLSClient.Trust.system as TLSClient.Trust?),
            ("other.example", "hostname mismatch", nil), ("10.0.0.1", "IP address mismatch", nil),
        ])
    func untrusted(_ host: String, _ reason: String, _ trust: TLSClient.Trust?) throws {
        let pair = try pair(host, trust)
        pair.shake()
        #expect(!pair.client.isOpen && pair.client.isUntrusted)
        #expect(pair.client.failure?.hasSuffix(": certificate verify failed: \(reason)") == true)
    }

    @Test("nobody is asked where anybody is trusted")
    func anybody() throws {
        let pair = try pair("other.example", .anybody)
        pair.shake()
        #expect(pair.client.isOpen)
    }

    @Test("a session is resumed where that was asked for", arguments: [true, false])
    func resumption(_ resumes: Bool) throws {
        let client = try TLSClient(host: "localhost", trusting: .file(identity.certificate), resumes: resumes)
        for round in 0..<3 {
            let pair = Pair(client, context)
            pair.shake()
            // The ticket comes behind the handshake, with the first thing that is said.
            #expect(pair.serverWrites([1]) == .moved(1))
            #expect(pair.clientReads() == [1])
            #expect(pair.client.isResumed == (resumes && round > 0))
        }
        #expect(client.hasTicket == resumes)
    }

    @Test("what speaks no TLS is told from a certificate that is wrong")
    func foreign() throws {
        let pair = try pair("localhost")
        pair.serverSays("HTTP/1.1 400 Bad Request\r\n\r\n")
        #expect(pair.clientReads() == nil)
        #expect(pair.client.failure == "TLS for localhost: what answers does not speak TLS")
        #expect(!pair.client.isUntrusted)
    }

    @Test("a file without certificates is named")
    func noFile() throws {
        let file = identity.folder + "/none.pem"
        let failure = #expect(throws: TLSFailure.self) { try TLSClient(host: "localhost", trusting: .file(file)) }
        #expect(failure?.description == "no certificates can be read from \(file): \(Errno(ENOENT))")
    }

    @Test("who trusts an authority trusts what it has issued")
    func authority() throws {
        let (authority, key) = (try CertificateAuthority(of: "a test"), try CertificateKey())
        let issued = try authority.issue(for: [.host("localhost")], to: key)
        func file(_ name: String, _ text: [UInt8]) throws -> String {
            try identity.file(name, String(decoding: text, as: UTF8.self))
        }
        let context = try TLSContext([
            TLSCertificate(try file("issued.pem", issued.text), key: try file("issued.key", key.text))
        ])
        let trust = TLSClient.Trust.file(try file("ca.pem", authority.certificate.text))
        let pair = Pair(try TLSClient(host: "localhost", trusting: trust), context)
        pair.shake()
        #expect(pair.client.isOpen)
        let others = Pair(try TLSClient(host: "localhost", trusting: .file(identity.certificate)), context)
        others.shake()
        #expect(others.client.isUntrusted)
    }
}
