import Bytes
import GatewayHTTP2
import GatewayIO
import GatewayTLS
import Glibc
import WebSocket

/// A WebSocket of a client that a person or a script holds: opening it waits, everything afterwards does not.
package struct ClientConnection: ~Copyable {
    /// What came.
    package enum Event: Equatable, Sendable {
        case text([UInt8])
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        /// The peer's Close; nil for one without a code.
        case close(code: UInt16?, reason: String)
    }

    /// Why there is no connection, or none any more.
    package enum Failure: Error, Equatable, Sendable {
        /// Nobody answers there, or not as TLS has it.
        case unreachable(String)
        /// The server answered, and not with 101.
        case refused(ClientAnswer)
        /// The peer broke a rule, or the connection broke.
        case broken(String)
    }

    /// Bytes of the longest message that is taken.
    private static let longest = 64 << 20
    /// Bytes that one turn reads, so that a flood does not keep its reader from everything else.
    private static let turn = 1 << 20

    private let socket: Socket
    /// What is between the messages and the socket; nil where they go as they are.
    private let layer: TransportLayer?
    private var input: [UInt8] = []
    private var position = 0
    private var output: [UInt8] = []
    private var sent = 0
    private var reader = ServerFrameReader()
    private var message: [UInt8] = []
    private var control: [UInt8] = []
    private var inflater: Inflater?
    private var deflater: Deflater?

    /// What the server answered.
    package private(set) var answer: ClientAnswer?
    /// Our Close has been queued.
    package private(set) var isClosing = false
    /// The peer's Close has come.
    package private(set) var hasHeardClose = false
    /// What went wrong behind what was told last.
    private var failure: Failure?
    /// The peer has ended the stream.
    package private(set) var isEnded = false

    private init(_ socket: consuming Socket, _ layer: TransportLayer?) {
        self.socket = socket
        self.layer = layer
    }

    /// What a poller watches.
    package var number: Int32 { socket.number }

    /// Bytes that wait for the peer to take them.
    package var waiting: Int { output.count - sent }

    /// Something waits for the peer to take it.
    package var wantsWrite: Bool { sent < output.count || layer?.isDrained == false }

    /// Something that came has not been looked at, and no poller will say so.
    package var hasInput: Bool { layer?.hasInput == true || failure != nil }

    /// What was agreed on beneath the messages, in the words of people; empty when they go as they are.
    package var agreements: [String] {
        let security = layer?.security.map { "\($0.version), \($0.cipher)" }
        return [security, answer?["sec-websocket-extensions"]].compactMap { $0 }
    }

    // MARK: Sending

    package mutating func send(text: [UInt8]) { queue(1, text) }
    package mutating func send(binary: [UInt8]) { queue(2, binary) }

    /// - Parameter payload: at most 125 bytes (RFC 6455 5.5).
    package mutating func ping(_ payload: [UInt8]) { queue(9, payload) }

    /// Queues a Close; nothing follows it.
    ///
    /// - Parameter code: nil for one without a code, and so without a reason.
    package mutating func close(_ code: UInt16?, _ reason: String = "") {
        guard !isClosing else { return }
        queue(8, code.map { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] + reason.utf8 } ?? [])
        isClosing = true
    }

    private mutating func queue(_ opcode: UInt8, _ payload: [UInt8]) {
        guard !isClosing else { return }
        if sent == output.count { (output, sent) = ([], 0) }
        // RFC 6455 5.3: the key is one that nobody can foresee.
        let key = UInt32.random(in: 0...UInt32.max)
        if let deflater, opcode < 8 {
            _ = FrameStream.append(payload, opcode, key, packedBy: deflater, to: &output)
        } else {
            output += FrameStream.frame(opcode: opcode, key: key, payload)
        }
    }

    /// Sends what the kernel takes.
    package mutating func flush() throws(Failure) {
        while sent < output.count {
            let result: IOResult
            if let layer {
                let rest = output[sent...]
                result = unsafe rest.withUnsafeBytes { unsafe layer.write(socket, $0) }
            } else {
                result = socket.write(output[sent...])
            }
            switch result {
            case .moved(let count): sent += count
            case .wouldBlock: return
            case .endOfStream, .failed: throw broken("the connection broke while sending")
            }
        }
        if let layer, !layer.isDrained, case .failed = layer.flush(socket) { throw broken("the connection broke") }
    }

    /// Says that nothing more comes, once everything is sent.
    package func finishSending() {
        layer?.finishSending(socket)
        socket.finishSending()
    }

    private func broken(_ sentence: String) -> Failure { .broken(layer?.failure ?? sentence) }

    // MARK: Receiving

    /// What has come; empty when nothing has. `isEnded` tells afterwards whether more can come.
    package mutating func receive() throws(Failure) -> [Event] {
        if let failure { throw failure }
        var broken: Failure?
        var count = 0
        while count < Self.turn, !isEnded {
            switch read() {
            case .moved(let moved): count += moved
            case .wouldBlock: count = Self.turn
            case .endOfStream: isEnded = true
            case .failed:
                isEnded = true
                broken = self.broken("the connection broke")
            }
        }
        var events: [Event] = []
        do throws(Failure) {
            while let event = try parse() { events.append(event) }
            // After both Closes nobody cares how the stream ended.
            if !hasHeardClose { failure = broken }
        } catch {
            failure = error
        }
        input.removeFirst(position)
        position = 0
        // What came before it is told first.
        if events.isEmpty, let failure { throw failure }
        return events
    }

    private mutating func read() -> IOResult {
        guard let layer else { return socket.read(appendingTo: &input, atMost: 65536) }
        var part = [UInt8](repeating: 0, count: 65536)
        let result = unsafe part.withUnsafeMutableBytes { unsafe layer.read(socket, into: $0) }
        if case .moved(let count) = result { input += part[..<count] }
        return result
    }

    private mutating func parse() throws(Failure) -> Event? {
        while !hasHeardClose {
            var (frames, next) = (reader, position)
            let step = frames.step(input.span, at: &next)
            (reader, position) = (frames, next)
            switch step {
            case .needMore: return nil
            case .violation(let violation): throw fail(1002, violation.rawValue)
            case .payload(let range, let isEnd):
                if reader.isControl {
                    control += input[range]
                    if isEnd { return try endControl() }
                } else {
                    message += input[range]
                    guard message.count <= Self.longest else { throw fail(1009, "a message of more than 64 MiB") }
                    if isEnd, reader.isFinal { return try endMessage() }
                }
            }
        }
        return nil
    }

    private mutating func endMessage() throws(Failure) -> Event {
        var payload = message
        message = []
        if reader.isCompressed {
            guard let inflated = inflate(payload) else { throw fail(1007, "a compressed message cannot be read") }
            payload = inflated
        }
        guard reader.messageOpcode == 1 else { return .binary(payload) }
        guard String(validating: payload, as: UTF8.self) != nil else { throw fail(1007, "a text is not UTF-8") }
        return .text(payload)
    }

    private func inflate(_ payload: [UInt8]) -> [UInt8]? {
        guard let inflater else { return nil }
        var output = ByteBuffer()
        let violation = unsafe payload.withUnsafeBytes {
            unsafe inflater.inflate($0, isLast: true, into: &output, limit: Self.longest)
        }
        return violation == nil ? unsafe Array(UnsafeRawBufferPointer(output.bytes)) : nil
    }

    private mutating func endControl() throws(Failure) -> Event {
        let payload = control
        control = []
        switch reader.opcode {
        case 9:
            queue(10, payload)
            return .ping(payload)
        case 10: return .pong(payload)
        default:
            guard payload.count != 1 else { throw fail(1002, "a Close of one byte") }
            hasHeardClose = true
            let code = payload.count < 2 ? nil : UInt16(payload[0]) << 8 | UInt16(payload[1])
            // RFC 6455 5.5.1: who has not sent a Close sends one, as a rule with the code that came.
            close(code)
            return .close(code: code, reason: String(decoding: payload.dropFirst(2), as: UTF8.self))
        }
    }

    /// RFC 6455 7.1.7: the peer is told why.
    private mutating func fail(_ code: UInt16, _ sentence: String) -> Failure {
        close(code)
        return .broken("the server broke a rule: \(sentence)")
    }
}

extension ClientConnection {
    // MARK: Opening

    /// Connects and shakes hands; each step waits at most `patience`.
    package static func open(_ request: ClientRequest) throws(Failure) -> ClientConnection {
        var connection = ClientConnection(try connected(request), try layer(request))
        if connection.layer != nil { try connection.secure(request) }
        let key = ClientRequest.makeKey()
        guard let accept = OpeningHandshake.answer(toKey: Array(key.utf8)) else {
            throw .unreachable("there is no SHA-1 in this OpenSSL")
        }
        connection.output = request.bytes(key: key)
        while connection.wantsWrite {
            try connection.flush()
            if connection.wantsWrite { try connection.wait(POLLOUT, request.patience, "takes nothing") }
        }
        try connection.readAnswer(request, accept)
        return connection
    }

    private static func layer(_ request: ClientRequest) throws(Failure) -> TransportLayer? {
        guard request.speaksHTTP2 else { return try secureLayer(request) }
        let tunnel = HTTP2Tunnel(
            over: try secureLayer(request), accept: { OpeningHandshake.answer(toKey: Array($0.utf8)) })
        guard let tunnel else { throw .unreachable("there is no memory for HTTP/2") }
        return tunnel
    }

    private static func secureLayer(_ request: ClientRequest) throws(Failure) -> TLSLayer? {
        guard request.destination.isSecure else { return nil }
        do throws(TLSFailure) {
            return try TLSClient(
                host: request.destination.host, trusting: request.trust, http2: request.speaksHTTP2
            ).makeLayer()
        } catch {
            throw .unreachable(error.description)
        }
    }

    /// The first address that takes a connection.
    private static func connected(_ request: ClientRequest) throws(Failure) -> Socket {
        let addresses: [Address]
        do throws(LoadUsageError) {
            addresses = try Address.all(of: request.destination)
        } catch {
            throw .unreachable(error.sentence)
        }
        var reason = ""
        for address in addresses {
            do throws(Errno) {
                let socket = try address.connect()
                guard isReady(socket.number, POLLOUT, seconds: request.patience) else { throw Errno(ETIMEDOUT) }
                var (code, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
                unsafe getsockopt(socket.number, SOL_SOCKET, SO_ERROR, &code, &length)
                guard code == 0 else { throw Errno(code) }
                return socket
            } catch {
                reason = error.description
            }
        }
        throw .unreachable("\(request.destination.authority): \(reason)")
    }

    private mutating func secure(_ request: ClientRequest) throws(Failure) {
        while layer?.isOpen == false {
            _ = layer?.flush(socket)
            try wait(
                layer?.isDrained == false ? POLLIN | POLLOUT : POLLIN, request.patience,
                request.speaksHTTP2 ? "does not go on with HTTP/2" : "does not go on with TLS")
            switch read() {
            case .moved, .wouldBlock: continue
            case .endOfStream, .failed: throw .unreachable(layer?.failure ?? "the server left in the handshake of TLS")
            }
        }
    }

    private mutating func readAnswer(_ request: ClientRequest, _ accept: String) throws(Failure) {
        while true {
            if let (answer, length) = ClientAnswer.read(input) {
                input.removeFirst(length)
                guard answer.status == 101 else { throw .refused(try withBody(answer, request.patience)) }
                if let objection = answer.objection(to: request, accept: accept) { throw .broken(objection) }
                self.answer = answer
                return try agree(answer)
            }
            guard input.count < ClientAnswer.longestHead, !isEnded else {
                throw .broken(
                    input.isEmpty ? "the server left without an answer" : "what answers does not speak HTTP")
            }
            if layer?.hasInput != true { try wait(POLLIN, request.patience, "does not answer the handshake") }
            switch read() {
            case .moved, .wouldBlock: continue
            case .endOfStream: isEnded = true
            case .failed: throw broken("the connection broke in the handshake")
            }
        }
    }

    /// A body ends by its length, or with the stream; where that does not come, with patience.
    private mutating func withBody(_ answer: ClientAnswer, _ patience: Int) throws(Failure) -> ClientAnswer {
        var answer = answer
        let length = answer["content-length"].flatMap { Int($0) } ?? ClientAnswer.longestBody
        while input.count < min(length, ClientAnswer.longestBody), !isEnded {
            guard layer?.hasInput == true || Self.isReady(socket.number, POLLIN, seconds: patience) else { break }
            switch read() {
            case .moved, .wouldBlock: continue
            case .endOfStream, .failed: isEnded = true
            }
        }
        answer.body = Array(input.prefix(min(length, ClientAnswer.longestBody)))
        return answer
    }

    private mutating func agree(_ answer: ClientAnswer) throws(Failure) {
        guard let agreed = answer["sec-websocket-extensions"].flatMap({ DeflateResponse($0) }) else { return }
        // No message refers to an earlier one, which is always allowed: `FrameStream` compresses each by itself.
        deflater = Deflater(Deflater.Configuration(level: 6, windowBits: 15), keepsContext: false)
        inflater = Inflater(windowBits: 15, keepsContext: agreed.keepsContext)
        guard deflater != nil, inflater != nil else { throw .broken("there is no memory for compression") }
        reader.allowsCompression = true
    }

    private func wait(_ events: Int32, _ seconds: Int, _ what: String) throws(Failure) {
        guard Self.isReady(socket.number, events, seconds: seconds) else {
            throw .unreachable("the server \(what), for \(seconds) s")
        }
    }

    private static func isReady(_ number: Int32, _ events: Int32, seconds: Int) -> Bool {
        let deadline = Clock.monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
        while true {
            let now = Clock.monotonicNanoseconds()
            guard now < deadline else { return false }
            var entry = pollfd(fd: number, events: Int16(truncatingIfNeeded: events), revents: 0)
            let count = unsafe poll(&entry, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1))
            if count > 0 { return true }
            if count < 0, errno != EINTR { return false }
        }
    }
}
