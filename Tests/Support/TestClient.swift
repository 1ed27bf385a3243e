/// A client that speaks HTTP and WebSocket byte by byte, and can break every rule of both.
package final class TestClient {
    /// A frame of the server.
    package struct Frame: Equatable, CustomStringConvertible {
        package var opcode: UInt8
        package var isFinal = true
        package var payload: [UInt8]

        package init(_ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true) {
            self.opcode = opcode
            self.payload = payload
            self.isFinal = isFinal
        }

        package static func text(_ text: String) -> Frame { Frame(1, Array(text.utf8)) }

        package static func close(_ code: UInt16, _ reason: String = "") -> Frame {
            Frame(8, [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8))
        }

        package var text: String { String(decoding: payload, as: UTF8.self) }

        /// The code of a Close frame; nil when it has none.
        package var closeCode: UInt16? {
            opcode == 8 && payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : nil
        }

        package var description: String {
            if let closeCode { return "close \(closeCode) \(String(decoding: payload.dropFirst(2), as: UTF8.self))" }
            return "\(isFinal ? "" : "unfinished ")\(opcode) \(payload.count < 80 ? text : "\(payload.count) bytes")"
        }
    }

    /// A response to a request.
    package struct Response: Equatable {
        package var status: Int
        package var head: String
        package var body: String

        /// The first word of a refusal.
        package var word: String { String(body.prefix { $0 != ":" }) }
    }

    /// The server said something else than the protocol has for this moment, or nothing any more.
    package struct Surprise: Error, CustomStringConvertible {
        package let description: String
    }

    package let socket: LoopbackSocket
    private var pending: [UInt8] = []

    package init(port: UInt16, receiveBuffer: Int32? = nil, key: UInt8 = 0) throws {
        socket = try LoopbackSocket(port: port, receiveBuffer: receiveBuffer)
        socket.key = key
    }

    /// Connects and makes the opening handshake.
    package convenience init(
        port: UInt16, open path: String, headers: [String] = [], with first: [UInt8] = [],
        receiveBuffer: Int32? = nil, key: UInt8 = 0
    ) throws {
        try self.init(port: port, receiveBuffer: receiveBuffer, key: key)
        try socket.send(Self.handshake(path, headers: headers) + first)
        let response = try readHead()
        guard response.hasPrefix("HTTP/1.1 101 ") else { throw Surprise(description: response) }
    }

    package static func request(_ method: String, _ path: String, headers: [String] = [], body: String = "") -> [UInt8]
    {
        let lines = ["\(method) \(path) HTTP/1.1", "Host: localhost"] + headers
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    package static func handshake(_ path: String, headers: [String] = []) -> [UInt8] {
        request(
            "GET", path,
            headers: [
                "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ] + headers)
    }

    // MARK: Sending

    package func send(_ bytes: [UInt8]) throws { try socket.send(bytes) }
    package func send(_ frame: ClientFrame) throws { try socket.send(frame.bytes) }
    package func send(_ text: String) throws { try send(ClientFrame(1, Array(text.utf8))) }

    package func sendClose(_ code: UInt16, _ reason: String = "") throws {
        try send(ClientFrame(8, Frame.close(code, reason).payload))
    }

    // MARK: Receiving

    private func fill() throws {
        let bytes = try socket.receive()
        guard !bytes.isEmpty else { throw Surprise(description: "the stream has ended") }
        pending += bytes
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while pending.count < count { try fill() }
        defer { pending.removeFirst(count) }
        return Array(pending.prefix(count))
    }

    /// A response head with its last empty line.
    package func readHead() throws -> String {
        var end: Int?
        while true {
            end = pending.indices.first { pending[$0...].starts(with: "\r\n\r\n".utf8) }
            if let end { return String(decoding: try take(end + 4), as: UTF8.self) }
            try fill()
        }
    }

    /// A whole response; `headOnly` after HEAD.
    package func response(headOnly: Bool = false) throws -> Response {
        let head = try readHead()
        let words = head.split(separator: " ", maxSplits: 2)
        guard words.count == 3, let status = Int(words[1]) else { throw Surprise(description: head) }
        let length =
            head.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
            .flatMap { Int($0.dropFirst(16)) } ?? 0
        let body = headOnly || status < 200 ? [] : try take(length)
        return Response(status: status, head: head, body: String(decoding: body, as: UTF8.self))
    }

    package func get(_ path: String) throws -> Response {
        try send(Self.request("GET", path))
        return try response()
    }

    /// The next frame, as it stands on the wire.
    package func receive() throws -> Frame {
        let start = try take(2)
        guard start[1] & 0x80 == 0, start[0] & 0x70 == 0 else { throw Surprise(description: "masked or reserved") }
        var length = Int(start[1])
        if length >= 126 { length = try take(length == 126 ? 2 : 8).reduce(0) { $0 << 8 | Int($1) } }
        return Frame(start[0] & 0x0F, try take(length), isFinal: start[0] & 0x80 != 0)
    }

    /// Frames up to a Close, it included; at the end of the stream what came before it.
    package func receiveAll() throws -> [Frame] {
        var frames: [Frame] = []
        while true {
            if pending.isEmpty {
                let bytes: [UInt8]
                do { bytes = try socket.receive() } catch let failure as LoopbackSocket.Failure where failure.isReset {
                    return frames
                }
                if bytes.isEmpty { return frames }
                pending += bytes
            }
            frames.append(try receive())
            if frames.last?.opcode == 8 { return frames }
        }
    }

    /// Waits for the end of the stream and throws away what comes before it.
    package func expectEnd() throws {
        do {
            while try !socket.receive().isEmpty {}
        } catch let failure as LoopbackSocket.Failure where failure.isReset {
            return
        }
    }

    package func reset() { socket.reset() }
    package func finishSending() { socket.finishSending() }
    package func close() { socket.close() }
}

extension LoopbackSocket.Failure {
    /// The other side has ended the connection with a reset.
    package var isReset: Bool { code == 104 || code == 32 }
}
