import Bytes
package import GatewayIO
import Glibc
import HTTP

/// One WebSocket of a client on a connection of HTTP/2 of its own (RFC 8441), in the clothes of HTTP/1.1: what is written
/// first is the request for an upgrade, what is read first is its answer.
///
///     what is read    ◀─ stream ◀─ HTTP2Session ◀─ TLS, if there is any ◀─ socket
///     what is written ─▶ stream ─▶ HTTP2Session ─▶ TLS, if there is any ─▶ socket
package final class HTTP2Tunnel: TransportLayer {
    private let session: HTTP2Session
    private let under: TransportLayer?
    /// What a server answers to a key over HTTP/1.1.
    private let accept: (String) -> String?
    private var stream: HTTP2Stream?
    private var key = ""
    private var reply: [UInt8] = []
    private var hasReplied = false
    /// Frames that were not taken below.
    private var pending = ByteBuffer()
    private var reason: String?

    private static let portion = 64 * 1024

    /// - Returns: nil when there is no memory.
    package init?(over under: TransportLayer?, accept: @escaping (String) -> String?) {
        guard let session = HTTP2Session(.client, HTTP2Settings(), HTTP2Underlay(), SpareBuffer()) else { return nil }
        (self.session, self.under, self.accept) = (session, under, accept)
    }

    deinit { session.cutOff() }

    package override var isOpen: Bool { under?.isOpen ?? true && session.peerTakesConnect }
    package override var security: TransportSecurity? { under?.security }
    package override var failure: String? { under?.failure ?? reason }

    // MARK: In

    package override var hasInput: Bool {
        !reply.isEmpty || under?.hasInput ?? false || hasReplied && stream?.hasInput ?? false
    }

    package override func read(_ socket: borrowing Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if let given = unsafe give(socket, buffer) { return pushed(socket, given) }
        let pulled = pull(socket)
        answer()
        let given = unsafe give(socket, buffer)
        if case .failed(let error) = push(socket) { return .failed(error) }
        if let given { return given }
        if reason != nil { return .failed(Errno(EPROTO)) }
        return pulled == .moved(0) ? .wouldBlock : pulled
    }

    /// What has been read makes room for more, which the server has to hear.
    private func pushed(_ socket: borrowing Socket, _ result: IOResult) -> IOResult {
        if case .failed(let error) = push(socket) { return .failed(error) }
        return result
    }

    /// What can be read without asking the socket.
    private func give(_ socket: borrowing Socket, _ buffer: UnsafeMutableRawBufferPointer) -> IOResult? {
        if !reply.isEmpty {
            let count = min(reply.count, buffer.count)
            unsafe buffer.copyBytes(from: reply[..<count])
            reply.removeFirst(count)
            return .moved(count)
        }
        guard hasReplied, let stream, stream.hasInput else { return nil }
        return unsafe stream.read(socket, into: buffer)
    }

    /// - Returns: `.moved(0)` when something came.
    private func pull(_ socket: borrowing Socket) -> IOResult {
        unsafe withUnsafeTemporaryAllocation(byteCount: Self.portion, alignment: 16) { room in
            let result = unsafe under?.read(socket, into: room) ?? socket.read(into: room)
            switch result {
            case .moved(let count):
                let taken = unsafe UnsafeRawBufferPointer(rebasing: room[..<count])
                if unsafe !session.receive(taken, now: Clock.monotonicNanoseconds()), let failure = session.failure {
                    reason = "what answers does not speak HTTP/2 as it should (\(failure.reason))"
                } else if session.hasSettings, !session.peerTakesConnect {
                    reason = "the server takes no WebSockets over HTTP/2"
                }
                return .moved(0)
            case .endOfStream, .failed: session.cutOff()
            case .wouldBlock: break
            }
            return result
        }
    }

    /// Makes an answer of HTTP/1.1 of the one that came.
    private func answer() {
        guard !hasReplied, let stream, stream.hasResponse, let fields = stream.response else { return }
        hasReplied = true
        let status = fields.first(":status").map { String(decoding: $0, as: UTF8.self) } ?? "500"
        var lines = ["HTTP/1.1 \(status)"]
        if status == "200" {
            lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
            lines.append("Sec-WebSocket-Accept: \(accept(key) ?? "")")
        }
        for field in fields.fields where fields.bytes[field.name].first != UInt8(ascii: ":") {
            let name = String(decoding: fields.bytes[field.name], as: UTF8.self)
            lines.append("\(name): \(String(decoding: fields.bytes[field.value], as: UTF8.self))")
        }
        reply = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    // MARK: Out

    package override func write(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        guard let stream else { return unsafe request(socket, bytes) }
        let result = unsafe stream.write(socket, bytes)
        if case .failed(let error) = push(socket) { return .failed(error) }
        return result
    }

    /// The request for an upgrade, which comes in one piece.
    private func request(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        let lines = unsafe String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
        var fields = FieldList()
        fields.append(":method", "CONNECT")
        fields.append(":protocol", "websocket")
        fields.append(":scheme", under == nil ? "http" : "https")
        fields.append(":path", lines.first.map { String($0.split(separator: " ")[1]) } ?? "/")
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].lowercased()
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            switch name {
            case "host": fields.append(":authority", String(value))
            case "sec-websocket-key": key = String(value)
            case "upgrade", "connection": break
            default: fields.append(name, String(value))
            }
        }
        stream = session.request(fields)
        if stream == nil { return .failed(Errno(ENOMEM)) }
        if case .failed(let error) = push(socket) { return .failed(error) }
        return .moved(bytes.count)
    }

    package override var isDrained: Bool { pending.isEmpty && (stream?.isDrained ?? true) }

    package override func flush(_ socket: borrowing Socket) -> IOResult { push(socket) }

    /// Sends what waits.
    ///
    /// - Returns: `.moved(0)` when nothing is left.
    private func push(_ socket: borrowing Socket) -> IOResult {
        if let under, !under.isOpen { return under.flush(socket) }
        while true {
            if pending.isEmpty {
                let isFine = unsafe session.collect(atMost: Self.portion) { unsafe pending.append($0) }
                if !isFine { return .failed(Errno(ENOMEM)) }
                _ = (session.takeRoomy(), session.takeTouched())
                if pending.isEmpty { break }
            }
            let bytes = unsafe UnsafeRawBufferPointer(pending.bytes)
            switch unsafe under?.write(socket, bytes) ?? socket.write(bytes) {
            case .moved(let count): pending.removeFirst(count)
            case .wouldBlock: return .wouldBlock
            case .endOfStream: return .endOfStream
            case .failed(let error): return .failed(error)
            }
        }
        return under?.flush(socket) ?? .moved(0)
    }

    package override func finishSending(_ socket: borrowing Socket) {
        stream?.finishSending(socket)
        _ = push(socket)
    }
}
