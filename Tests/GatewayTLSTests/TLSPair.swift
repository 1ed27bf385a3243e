import COpenSSL
import GatewayIO
import GatewayTLS
import Glibc

/// A layer of ours and a client of OpenSSL's, on the two ends of a pair of sockets, stepped by the test.
final class TLSPair {
    let layer: TLSLayer
    private var ours: Socket?
    private var theirs: FileDescriptor?
    private let clientContext: OpaquePointer
    let client: OpaquePointer

    /// What a client or the layer gets.
    enum Heard: Equatable {
        case bytes([UInt8])
        case nothing
        case end
        case failure
    }

    init(
        _ context: TLSContext, name: String? = nil, versions: (Int32, Int32) = (TLS1_2_VERSION, TLS1_3_VERSION),
        session: OpaquePointer? = nil, protocols: [UInt8] = [], identity: TestIdentity? = nil, buffer: Int32? = nil
    ) {
        var numbers: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        precondition(socketpair(AF_UNIX, kind, 0, &numbers) == 0)
        if var size = buffer {
            setsockopt(numbers[0], SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        ours = Socket(adopting: numbers[0])
        theirs = FileDescriptor(adopting: numbers[1])
        layer = context.makeLayer()!
        clientContext = SSL_CTX_new(TLS_client_method())!
        _ = copenssl_set_versions(clientContext, versions.0, versions.1)
        client = SSL_new(clientContext)!
        SSL_set_fd(client, numbers[1])
        SSL_set_connect_state(client)
        if let name { _ = copenssl_set_server_name(client, name) }
        if let session { SSL_set_session(client, session) }
        if let identity {
            SSL_use_certificate(client, identity.made)
            SSL_use_PrivateKey(client, identity.madeKey)
        }
        if !protocols.isEmpty { SSL_set_alpn_protos(client, protocols, UInt32(protocols.count)) }
    }

    deinit {
        // The session of a client that goes without a farewell is one that OpenSSL does not go on with.
        SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        SSL_free(client)
        SSL_CTX_free(clientContext)
    }

    /// Where the client writes, for tests that break TLS.
    var clientNumber: Int32 { theirs?.number ?? -1 }

    func closeClient() { theirs = nil }

    // MARK: Ours

    func read(_ room: Int = 65536) -> IOResult {
        var unused: [UInt8] = []
        return read(room, into: &unused)
    }

    func read(_ room: Int, into heard: inout [UInt8]) -> IOResult {
        var bytes = [UInt8](repeating: 0, count: room)
        let result = bytes.withUnsafeMutableBytes { layer.read(ours!, into: $0) }
        if case .moved(let count) = result { heard += bytes[..<count] }
        return result
    }

    func write(_ bytes: [UInt8]) -> IOResult { bytes.withUnsafeBytes { layer.write(ours!, $0) } }

    /// Writes several runs as one.
    func write(runs: [[UInt8]]) -> IOResult {
        let whole = runs.flatMap { $0 }
        return whole.withUnsafeBytes { whole in
            var start = 0
            let parts = runs.map { run in
                defer { start += run.count }
                return UnsafeRawBufferPointer(rebasing: whole[start..<(start + run.count)])
            }
            return parts.withUnsafeBufferPointer { layer.write(ours!, runs: $0) }
        }
    }

    func flush() -> IOResult { layer.flush(ours!) }
    func finishSending() { layer.finishSending(ours!) }

    // MARK: Theirs

    /// One step of the client: what it reads, the handshake going on meanwhile.
    func clientReads(_ room: Int = 65536) -> Heard {
        var bytes = [UInt8](repeating: 0, count: room)
        let count = SSL_read(client, &bytes, Int32(room))
        if count > 0 { return .bytes(Array(bytes[..<Int(count)])) }
        defer { ERR_clear_error() }
        switch SSL_get_error(client, count) {
        case SSL_ERROR_WANT_READ: return .nothing
        case SSL_ERROR_ZERO_RETURN: return .end
        default: return .failure
        }
    }

    /// Whether all of it went out.
    func clientWrites(_ bytes: [UInt8]) -> Bool { SSL_write(client, bytes, Int32(bytes.count)) == Int32(bytes.count) }

    /// Makes the handshake.
    ///
    /// - Returns: what the client and we came to at last.
    @discardableResult
    func shake() -> (theirs: Heard, ours: IOResult) {
        var last: (theirs: Heard, ours: IOResult) = (.nothing, .wouldBlock)
        for _ in 0..<6 {
            last.theirs = clientReads()
            last.ours = read()
            _ = flush()
            guard last == (.nothing, .wouldBlock) else {
                if last.theirs == .nothing { last.theirs = clientReads() }
                break
            }
        }
        return last
    }

    var isOpen: Bool { SSL_is_init_finished(client) == 1 }
    var clientVersion: String { String(cString: SSL_get_version(client)) }

    /// The first name of the certificate that the client was shown.
    var shownName: String {
        guard let certificate = SSL_get1_peer_certificate(client) else { return "" }
        defer { X509_free(certificate) }
        var text = [CChar](repeating: 0, count: 100)
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, &text, 100)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
