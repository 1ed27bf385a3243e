import Bytes
import GatewayIO
import GatewayLoad
import GatewayTLS
import Glibc
import WebSocket

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
    /// nil where bytes go as they are.
    private let tls: TLSLayer?
    /// Seconds that this one waits.
    private let patience: Int
    private var bytes: [UInt8] = []
    private var position = 0
    private var reader = ServerFrameReader()
    private var control: [UInt8] = []
    private var length = 0
    /// What has come of a compressed message, and what makes messages of such.
    private var packed: [UInt8] = []
    private var inflater: Inflater?
    private var deflater: Deflater?
    /// Frames of a message can be compressed one by one.
    private var keepsContext = false
    /// Bytes that more than any handler sends at once does not have.
    private static let longest = 64 << 20
    /// The subprotocol that was agreed on; empty = none.
    private(set) var subprotocol = ""

    /// Connects without saying anything, but what TLS has to say.
    private static func connected(to target: TrialTarget, patience: Int) throws(Trouble) -> TrialClient {
        var client: TrialClient
        do throws(Errno) {
            let socket = try Socket(connectingTo: target.socket, timeout: patience)
            client = TrialClient(socket, target.tls?.makeLayer(), patience: patience)
        } catch {
            throw .unreachable(error.description)
        }
        while client.tls?.isOpen == false {
            try client.flush()
            try client.receive(atMost: 4096, untilData: false)
        }
        return client
    }

    private init(_ socket: consuming Socket, _ tls: TLSLayer?, patience: Int) {
        self.socket = socket
        self.tls = tls
        self.patience = patience
    }

    /// What was agreed on beneath the messages; empty when they go as they are.
    var agreements: String {
        let security = tls?.security.map { "\($0.version), \($0.cipher)" }
        return [security, deflater == nil ? nil : "permessage-deflate"].compactMap { $0 }.joined(separator: "; ")
    }

    /// Opens a WebSocket.
    static func open(
        _ target: TrialTarget, offering subprotocols: [String] = [], patience: Int = Self.patience
    ) throws(Trouble) -> TrialClient {
        var client = try connected(to: target, patience: patience)
        var request = """
            GET \(target.path) HTTP/1.1\r\nHost: \(TrialTarget.host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n
            """
        if !subprotocols.isEmpty { request += "Sec-WebSocket-Protocol: \(subprotocols.joined(separator: ", "))\r\n" }
        if target.deflates { request += "Sec-WebSocket-Extensions: permessage-deflate\r\n" }
        try client.send(Array((request + "\r\n").utf8)[...])
        let head = try client.readHead()
        guard head.status == 101 else { throw .refused(head.status) }
        client.subprotocol = head["sec-websocket-protocol"]
        if target.deflates { try client.agree(head["sec-websocket-extensions"]) }
        return client
    }

    private mutating func agree(_ extensions: String) throws(Trouble) {
        guard let agreed = DeflateResponse(extensions) else {
            throw .violation("permessage-deflate was offered, and the answer is \"\(extensions)\"")
        }
        let configuration = Deflater.Configuration(level: 6, windowBits: 15)
        deflater = Deflater(configuration, keepsContext: agreed.clientKeepsContext)
        inflater = Inflater(windowBits: 15, keepsContext: agreed.keepsContext)
        guard deflater != nil, inflater != nil else { throw .unreachable("there is no memory for compression") }
        keepsContext = agreed.clientKeepsContext
        reader.allowsCompression = true
    }

    /// Asks for the path in plain HTTP.
    ///
    /// - Returns: the status of the answer.
    static func get(_ target: TrialTarget) throws(Trouble) -> Int {
        var client = try connected(to: target, patience: patience)
        try client.send(
            Array("GET \(target.path) HTTP/1.1\r\nHost: \(TrialTarget.host)\r\nConnection: close\r\n\r\n".utf8)[...])
        return try client.readHead().status
    }

    // MARK: Sending

    /// Sends bytes as they are.
    func send(_ bytes: ArraySlice<UInt8>) throws(Trouble) {
        var rest = bytes
        while !rest.isEmpty {
            switch write(rest) {
            case .moved(let count): rest = rest.dropFirst(count)
            case .wouldBlock: throw .silence
            case .endOfStream, .failed: throw .ended
            }
        }
        try flush()
    }

    private func write(_ bytes: ArraySlice<UInt8>) -> IOResult {
        guard let tls else { return socket.write(bytes) }
        return unsafe bytes.withUnsafeBytes { unsafe tls.write(socket, $0) }
    }

    /// Sends what TLS has kept.
    private func flush() throws(Trouble) {
        guard let tls, !tls.isDrained else { return }
        switch tls.flush(socket) {
        case .moved: return
        case .wouldBlock: throw .silence
        case .endOfStream, .failed: throw .ended
        }
    }

    /// Sends a frame.
    func send(_ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true) throws(Trouble) {
        try send(frame(opcode, payload, isFinal: isFinal)[...])
    }

    /// A frame, masked with a key that changes nothing: what is sent stays readable in a debugger.
    func frame(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
        let packed = compressed(opcode, payload, isFinal)
        // RFC 7692 6.1: RSV1 is set on the first frame of a compressed message.
        let mark: UInt8 = packed != nil && opcode != 0 ? 0x40 : 0
        let payload = packed ?? payload
        var frame = [(isFinal ? 0x80 : 0) | mark | opcode]
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
        return frame + [0, 0, 0, 0] + payload
    }

    /// What compression makes of the payload of a frame; nil when it goes as it is.
    private func compressed(_ opcode: UInt8, _ payload: [UInt8], _ isFinal: Bool) -> [UInt8]? {
        // RFC 7692 6: control frames are not compressed. A message is as a whole, or it is not.
        guard let deflater, opcode < 8, keepsContext || (isFinal && opcode != 0) else { return nil }
        var output = ByteBuffer()
        guard unsafe payload.withUnsafeBytes({ unsafe deflater.deflate($0, into: &output) }) else { return nil }
        let bytes = unsafe Array(UnsafeRawBufferPointer(output.bytes))
        // RFC 7692 7.2.1: what a flush ends with is left out at the end of the message only.
        return isFinal ? bytes : bytes + [0, 0, 0xFF, 0xFF]
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
            try receive(atMost: 65536)
        }
    }

    /// Reads once.
    ///
    /// - Parameter untilData: what TLS has to say to itself is not enough.
    private mutating func receive(atMost count: Int, untilData: Bool = true) throws(Trouble) {
        let deadline = Clock.monotonicNanoseconds() + UInt64(patience) * 1_000_000_000
        while true {
            switch read(atMost: count) {
            case .moved: return
            case .wouldBlock:
                if tls == nil || Clock.monotonicNanoseconds() >= deadline { throw .silence }
                if !untilData { return }
            // What ended TLS otherwise is the end of the socket.
            case .failed(let error) where error.code == EPROTO:
                throw .violation(tls?.failure ?? "\(error)")
            case .endOfStream, .failed: throw .ended
            }
        }
    }

    private mutating func read(atMost count: Int) -> IOResult {
        guard let tls else { return socket.read(appendingTo: &bytes, atMost: count) }
        var part = [UInt8](repeating: 0, count: count)
        let result = unsafe part.withUnsafeMutableBytes { unsafe tls.read(socket, into: $0) }
        if case .moved(let moved) = result { bytes += part[..<moved] }
        return result
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
                if reader.isControl {
                    control += bytes[range]
                } else if reader.isCompressed {
                    packed += bytes[range]
                } else {
                    length += range.count
                }
                guard isEnd else { continue }
                if reader.isCompressed, reader.isFinal, !reader.isControl { try inflate() }
                if let event = frameEnded() { return event }
            }
        }
    }

    private mutating func inflate() throws(Trouble) {
        var message = ByteBuffer()
        let violation = unsafe packed.withUnsafeBytes {
            unsafe inflater?.inflate($0, isLast: true, into: &message, limit: Self.longest)
        }
        guard violation == nil else { throw .violation("a compressed message cannot be inflated") }
        packed = []
        length = message.count
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

    /// The answer to a request.
    private struct Head {
        var status = 0
        private var fields: [String: String] = [:]

        init(_ text: Substring) {
            let lines = text.split(separator: "\r\n")
            let words = lines.first?.split(separator: " ") ?? []
            status = words.count > 1 ? Int(words[1]) ?? 0 : 0
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2 { fields[parts[0].lowercased()] = String(parts[1].drop { $0 == " " }) }
            }
        }

        /// The value of a field; empty when it is not there.
        subscript(name: String) -> String { fields[name] ?? "" }
    }

    private mutating func readHead() throws(Trouble) -> Head {
        while true {
            if let head = String(decoding: bytes, as: UTF8.self).firstRange(of: "\r\n\r\n") {
                let text = String(decoding: bytes, as: UTF8.self)
                position = text.utf8.distance(from: text.startIndex, to: head.upperBound)
                return Head(text[..<head.lowerBound])
            }
            guard bytes.count < 65536 else { throw .violation("the answer to the handshake has no end") }
            try receive(atMost: 4096)
        }
    }
}

/// Where a handler under trial is reached.
struct TrialTarget {
    /// What clients call the gateway.
    static let host = "localhost"

    /// The socket in the file system.
    let socket: String
    /// The path of the request.
    let path: String
    /// nil without TLS.
    let tls: TLSClient?
    /// Clients offer compression and use it.
    let deflates: Bool
}
