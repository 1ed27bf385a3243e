import GatewayIO
import GatewayLoad

/// A WebSocket client that does what a script says, right or wrong; every call waits, at most `patience`.
struct TrialClient: ~Copyable {
    /// What comes from a gateway.
    enum Event: Equatable {
        case message(opcode: UInt8, count: Int)
        case ping
        case pong([UInt8])
        /// The code; nil for a Close without one.
        case close(UInt16?)
    }

    /// Why a step cannot go on.
    enum Trouble: Error, Equatable {
        /// Nothing came in time, or nothing was taken.
        case silence
        /// The connection ended without a Close frame.
        case ended
        /// The kernel's reason why there is no connection.
        case unreachable(String)
        /// The answer to the handshake was not 101.
        case refused(Int)
        /// A frame that breaks RFC 6455.
        case violation(String)
    }

    /// Seconds that a call waits.
    static let patience = 10

    private let socket: Socket
    private var bytes: [UInt8] = []
    private var position = 0
    private var reader = ServerFrameReader()
    private var control: [UInt8] = []
    private var length = 0
    /// The subprotocol that was agreed on; empty = none.
    private(set) var subprotocol = ""

    /// Connects without saying anything.
    private init(connectingTo path: String, patience: Int) throws(Trouble) {
        do throws(Errno) {
            socket = try Socket(connectingTo: path, timeout: patience)
        } catch {
            throw .unreachable(error.description)
        }
    }

    /// Opens a WebSocket.
    static func open(
        _ target: TrialTarget, offering subprotocols: [String] = [], patience: Int = Self.patience
    ) throws(Trouble) -> TrialClient {
        var client = try TrialClient(connectingTo: target.socket, patience: patience)
        var request = """
            GET \(target.path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n
            """
        if !subprotocols.isEmpty { request += "Sec-WebSocket-Protocol: \(subprotocols.joined(separator: ", "))\r\n" }
        try client.send(Array((request + "\r\n").utf8)[...])
        let head = try client.readHead()
        guard head.status == 101 else { throw .refused(head.status) }
        client.subprotocol = head.subprotocol
        return client
    }

    /// Asks for the path in plain HTTP.
    ///
    /// - Returns: the status of the answer.
    static func get(_ target: TrialTarget) throws(Trouble) -> Int {
        var client = try TrialClient(connectingTo: target.socket, patience: patience)
        try client.send(Array("GET \(target.path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)[...])
        return try client.readHead().status
    }

    // MARK: Sending

    /// Sends bytes as they are.
    func send(_ bytes: ArraySlice<UInt8>) throws(Trouble) {
        var rest = bytes
        while !rest.isEmpty {
            switch socket.write(rest) {
            case .moved(let count): rest = rest.dropFirst(count)
            case .wouldBlock: throw .silence
            case .endOfStream, .failed: throw .ended
            }
        }
    }

    /// Sends a frame, masked with a key that changes nothing: what is sent stays readable in a debugger.
    func send(_ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true) throws(Trouble) {
        var frame = [(isFinal ? 0x80 : 0) | opcode]
        switch payload.count {
        case 0..<126: frame.append(0x80 | UInt8(payload.count))
        case 126..<0x1_0000:
            frame.append(0x80 | 126)
            frame += [UInt8(truncatingIfNeeded: payload.count >> 8), UInt8(truncatingIfNeeded: payload.count)]
        default:
            frame.append(0x80 | 127)
            for shift in stride(from: 56, through: 0, by: -8) {
                frame.append(UInt8(truncatingIfNeeded: payload.count >> shift))
            }
        }
        try send((frame + [0, 0, 0, 0] + payload)[...])
    }

    /// Sends a Close frame; nil = without a code.
    func sendClose(_ code: UInt16?) throws(Trouble) {
        try send(8, code.map { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] } ?? [])
    }

    // MARK: Receiving

    /// The next whole message or control frame.
    mutating func next() throws(Trouble) -> Event {
        while true {
            if let event = try parse() { return event }
            bytes.removeFirst(position)
            position = 0
            switch socket.read(appendingTo: &bytes, atMost: 65536) {
            case .moved: continue
            case .wouldBlock: throw .silence
            case .endOfStream, .failed: throw .ended
            }
        }
    }

    private mutating func parse() throws(Trouble) -> Event? {
        while true {
            var (frames, next) = (reader, position)
            let step = frames.step(bytes.span, at: &next)
            (reader, position) = (frames, next)
            switch step {
            case .needMore: return nil
            case .violation(let violation): throw .violation(violation.rawValue)
            case .payload(let range, let isEnd):
                if reader.isControl { control += bytes[range] } else { length += range.count }
                guard isEnd else { continue }
                if let event = frameEnded() { return event }
            }
        }
    }

    private mutating func frameEnded() -> Event? {
        let payload = control
        if reader.isControl { control = [] }
        switch reader.opcode {
        case 8: return .close(payload.count < 2 ? nil : UInt16(payload[0]) << 8 | UInt16(payload[1]))
        case 9: return .ping
        case 10: return .pong(payload)
        default:
            guard reader.isFinal else { return nil }
            defer { length = 0 }
            return .message(opcode: reader.messageOpcode, count: length)
        }
    }

    /// How a connection is when all that was sent has been dealt with.
    enum Condition: Equatable {
        /// Open; so many messages had come meanwhile.
        case open(messages: Int)
        case closed(UInt16?)
    }

    /// Sends a ping and reads up to its pong or the end: by then the handler has had everything sent before.
    mutating func settle() throws(Trouble) -> Condition {
        let token: [UInt8] = [0x73, 0x65, 0x74, 0x74, 0x6C, 0x65]
        do throws(Trouble) {
            try send(9, token)
        } catch {
            // The connection may have been closed already; then the Close is still to be read.
            guard error == .ended else { throw error }
        }
        var messages = 0
        while true {
            switch try next() {
            case .message: messages += 1
            case .pong(token): return .open(messages: messages)
            case .pong, .ping: continue
            case .close(let code):
                try? sendClose(code)
                return .closed(code)
            }
        }
    }

    /// Reads up to the Close.
    ///
    /// - Returns: its code; nil when it has none.
    mutating func readClose() throws(Trouble) -> UInt16? {
        while true {
            if case .close(let code) = try next() { return code }
        }
    }

    private mutating func readHead() throws(Trouble) -> (status: Int, subprotocol: String) {
        while true {
            if let head = String(decoding: bytes, as: UTF8.self).firstRange(of: "\r\n\r\n") {
                let text = String(decoding: bytes, as: UTF8.self)
                position = text.utf8.distance(from: text.startIndex, to: head.upperBound)
                return Self.read(text[..<head.lowerBound])
            }
            guard bytes.count < 65536 else { throw .violation("the answer to the handshake has no end") }
            switch socket.read(appendingTo: &bytes, atMost: 4096) {
            case .moved: continue
            case .wouldBlock: throw .silence
            case .endOfStream, .failed: throw .ended
            }
        }
    }

    private static func read(_ head: Substring) -> (status: Int, subprotocol: String) {
        let lines = head.split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        var subprotocol = ""
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == "sec-websocket-protocol" {
                subprotocol = String(parts[1].drop { $0 == " " })
            }
        }
        return (words.count > 1 ? Int(words[1]) ?? 0 : 0, subprotocol)
    }
}

/// Where a handler under trial is reached.
struct TrialTarget: Sendable {
    /// The socket in the file system.
    let socket: String
    /// The path of the request.
    let path: String
}
