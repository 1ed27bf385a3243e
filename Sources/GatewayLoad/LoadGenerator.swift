import Bytes
package import GatewayIO
import GatewayTLS
import Glibc
import WebSocket

/// Generates load and checks what comes back, on one thread.
///
/// One read and at most one send for each ready connection, all frames made beforehand: what is left costs little
/// more than the system calls, so the server is what is measured.
@safe
package struct LoadGenerator: ~Copyable {
    let plan: LoadPlan
    let address: Address
    let request: [UInt8]
    let stream: FrameStream
    let poller: Poller
    let peers: PeerTable
    /// When each message under way left: a ring of `depth` for each slot.
    let times: ReservedArray<UInt64>
    private let readBuffer: ReservedArray<UInt8>
    /// nil for `ws:`.
    let tls: TLSClient?
    /// What the first connection agreed on, and how many connections of those counted went on with an earlier session.
    var security: TransportSecurity?
    var resumed = 0
    var compression: Compression
    var tally: Tally
    var faults = Faults()
    var now = Clock.monotonicNanoseconds()

    /// Connections in a handshake, and open ones.
    var opening = 0
    var live = 0
    /// Messages, publications or connections that are still to be begun; all there are without `--messages`.
    var budget: Int
    /// What was done since the beginning, warm-up included.
    var completed = 0
    var publications = Publications()
    /// For `idle`: seconds to open all, and the memory of the server before and afterwards.
    var openSeconds = 0.0
    var emptyUsage = ServerUsage()
    var fullUsage = ServerUsage()
    var alive = 0

    private static let readBytes = 256 << 10
    /// A run that makes no progress for so long stops waiting.
    static let patience: UInt64 = 10_000_000_000

    /// Does what the plan says, and answers what it came to.
    package static func run(_ plan: LoadPlan) throws(LoadFailure) -> LoadReport {
        let address: Address
        do throws(LoadUsageError) { address = try Address(plan.destination) } catch { throw .usage(error.sentence) }
        let tls: TLSClient?
        do throws(TLSFailure) { tls = try client(plan) } catch { throw .usage(error.description) }
        for process in plan.processes where !ServerUsage.isThere(process) {
            throw .usage("there is no process \(process)")
        }
        do throws(Errno) {
            try allowDescriptors(plan.connections + 64)
            var generator = try LoadGenerator(plan, address, tls)
            return try generator.run()
        } catch { throw .system(error) }
    }

    private static func client(_ plan: LoadPlan) throws(TLSFailure) -> TLSClient? {
        guard plan.destination.isSecure else { return nil }
        return try TLSClient(
            host: plan.destination.host, trusting: plan.trust, resumes: plan.resumes, http2: plan.speaksHTTP2)
    }

    private init(_ plan: LoadPlan, _ address: Address, _ tls: TLSClient?) throws(Errno) {
        // All that can fail comes first: nothing may throw out of a value that owns descriptors and is half made.
        let poller = try Poller()
        let peers = try PeerTable(count: plan.connections + (plan.flood > 0 ? 1 : 0))
        let tally = try Tally()
        let compression = try Compression(isWanted: plan.deflates)
        let deflater = compression.deflater
        let ring = plan.mode == .echo ? plan.depth * plan.connections + plan.flood : 1
        guard let times = ReservedArray<UInt64>(capacity: ring),
            let readBuffer = ReservedArray<UInt8>(capacity: Self.readBytes)
        else { throw Errno(ENOMEM) }
        self.plan = plan
        self.address = address
        self.tls = tls
        self.compression = compression
        request = OpeningReply.request(for: plan)
        let deepest = plan.mode == .echo ? max(plan.depth, plan.flood) : 1
        stream = FrameStream(content: plan.content, size: plan.size, depth: deepest, deflater: deflater)
        budget = plan.messages ?? Int.max
        self.poller = poller
        self.peers = peers
        self.tally = tally
        self.times = times
        self.readBuffer = readBuffer
    }

    /// Raises the limit of open files as far as it may be.
    private static func allowDescriptors(_ wanted: Int) throws(Errno) {
        var limit = rlimit()
        let name = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard unsafe getrlimit(name, &limit) == 0 else { throw Errno.last }
        guard limit.rlim_cur < rlim_t(wanted) else { return }
        limit.rlim_cur = min(rlim_t(wanted), limit.rlim_max)
        guard unsafe setrlimit(name, &limit) == 0, limit.rlim_cur >= rlim_t(wanted) else { throw Errno(EMFILE) }
    }

    private mutating func run() throws(Errno) -> LoadReport {
        switch plan.mode {
        case .echo: try runEcho()
        case .connect: try runConnect()
        case .fanout: try runFanout()
        case .idle: try runIdle()
        }
        if plan.mode != .idle, tally.operations == 0, faults.isEmpty {
            faults.add(.lost, "nothing was done within the time")
        }
        return LoadReport(of: self)
    }

    // MARK: The loop

    /// Waits for events, acts on them, and reads the clock.
    mutating func turn(milliseconds: Int32) throws(Errno) {
        let count = try poller.wait(milliseconds: milliseconds)
        now = Clock.monotonicNanoseconds()
        for index in 0..<count {
            let event = poller[index]
            guard let peer = peers.find(event.token) else { continue }
            if event.isWritable { try becameWritable(peer) }
            // What was just sent may have ended it.
            guard event.isReadable, peers.find(event.token) != nil else { continue }
            try receive(peer)
        }
    }

    @inline(__always)
    private mutating func receive(_ peer: PeerPlace) throws(Errno) {
        if let layer = peer.pointee.layer { return try receive(peer, through: layer) }
        let room = unsafe UnsafeMutableBufferPointer(start: readBuffer.address(0), count: readBuffer.capacity)
        switch unsafe peer.pointee.socket.read(into: UnsafeMutableRawBufferPointer(room)) {
        case .moved(let count):
            let window = unsafe UnsafeBufferPointer(rebasing: room[..<count])
            let bytes = unsafe window.span
            try take(bytes, from: peer)
        case .wouldBlock: return
        case .endOfStream: try ended(peer, "the server ended the connection")
        case .failed(let error): try ended(peer, "the connection broke: \(error)")
        }
    }

    /// Reads what has come, which may be more than the poller tells.
    @inline(never)
    private mutating func receive(_ peer: PeerPlace, through layer: TransportLayer) throws(Errno) {
        let token = peer.pointee.token
        let room = unsafe UnsafeMutableBufferPointer(start: readBuffer.address(0), count: readBuffer.capacity)
        repeat {
            switch unsafe layer.read(peer.pointee.socket, into: UnsafeMutableRawBufferPointer(room)) {
            case .moved(let count):
                let window = unsafe UnsafeBufferPointer(rebasing: room[..<count])
                let bytes = unsafe window.span
                try take(bytes, from: peer)
            case .wouldBlock:
                if peer.pointee.phase == .securing { try goOn(peer) }
                return
            case .endOfStream: try ended(peer, "the server ended the connection")
            case .failed(let error): try ended(peer, "the connection broke: \(error)")
            }
        } while peers.find(token) != nil && layer.hasInput
    }

    private mutating func take(_ bytes: Span<UInt8>, from peer: PeerPlace) throws(Errno) {
        switch peer.pointee.phase {
        case .connecting, .securing, .handshake: try takeReply(bytes, from: peer)
        case .open, .closing:
            let before = peer.pointee.underWay
            guard try feed(bytes, to: peer) else { return }
            let answered = before &- peer.pointee.underWay
            if answered > 0 { try heard(answered, from: peer) }
        }
    }

    /// Takes frames apart; false when the connection has ended by it.
    @inline(__always)
    mutating func feed(_ bytes: Span<UInt8>, to peer: PeerPlace) throws(Errno) -> Bool {
        var position = 0
        while true {
            switch peer.pointee.reader.step(bytes, at: &position) {
            case .needMore: return true
            case .violation(let violation):
                faults.add(.violations, "connection \(peer.pointee.slot): \(violation.rawValue)")
                drop(peer)
                return false
            case .payload(let range, let isEnd):
                let payload = bytes.extracting(range)
                if peer.pointee.reader.isControl {
                    guard try takeControl(payload, isEnd, from: peer) else { return false }
                } else if plan.deflates {
                    guard takeCompressible(payload, isEnd, from: peer) else { return false }
                } else {
                    give(payload, isEnd, from: peer)
                }
            }
        }
    }

    /// Takes bytes of a message that may be compressed, and the message when it is whole; false when the connection has
    /// ended by it.
    private mutating func takeCompressible(_ payload: Span<UInt8>, _ isEnd: Bool, from peer: PeerPlace) -> Bool {
        // What nobody looks at is not inflated either.
        guard plan.mode == .echo || plan.mode == .fanout else { return true }
        let isWhole = isEnd && peer.pointee.reader.isFinal
        if tally.isOn { compression.received.wire &+= payload.count }
        guard peer.pointee.reader.isCompressed else {
            if tally.isOn { compression.received.plain &+= payload.count }
            give(payload, isEnd, from: peer)
            return true
        }
        unsafe payload.withUnsafeBytes { unsafe peer.pointee.collected.append($0) }
        guard isWhole else { return true }
        let packed = unsafe UnsafeRawBufferPointer(peer.pointee.collected.bytes)
        let isGood = unsafe compression.inflate(packed, with: peer.pointee.inflater)
        peer.pointee.collected.removeAll()
        guard isGood else {
            faults.add(.violations, "connection \(peer.pointee.slot): a compressed message cannot be inflated")
            drop(peer)
            return false
        }
        if tally.isOn { compression.received.plain &+= compression.message.count }
        let message = unsafe UnsafeBufferPointer(compression.message.bytes.assumingMemoryBound(to: UInt8.self))
        unsafe give(message.span, true, from: peer)
        return true
    }

    @inline(__always)
    private mutating func give(_ payload: Span<UInt8>, _ isEnd: Bool, from peer: PeerPlace) {
        if plan.mode == .echo {
            takeEcho(payload, isEnd, from: peer)
        } else if plan.mode == .fanout {
            takePublication(payload, isEnd, from: peer)
        }
        // A handler may greet a client that only connects; that is its affair.
    }

    // MARK: Sending

    /// Sends what is due; what the kernel does not take waits for room.
    @inline(__always)
    mutating func flush(_ peer: PeerPlace) throws(Errno) {
        if !peer.pointee.isDrained, let layer = peer.pointee.layer {
            guard try sent(layer.flush(peer.pointee.socket), peer) != nil else { return }
        }
        if peer.pointee.pending > 0 {
            let from = peer.pointee.position
            let count = peer.pointee.pending
            let result = unsafe stream.frames.withUnsafeBytes { frames in
                unsafe peer.pointee.send(UnsafeRawBufferPointer(rebasing: frames[from..<from &+ count]))
            }
            guard let sent = try sent(result, peer) else { return }
            peer.pointee.pending = count &- sent
            let position = from &+ sent
            peer.pointee.position = position >= stream.period ? position % stream.period : position
        }
        if !peer.pointee.own.isEmpty, peer.pointee.pending == 0 {
            let result = unsafe peer.pointee.send(UnsafeRawBufferPointer(peer.pointee.own.bytes))
            guard let sent = try sent(result, peer) else { return }
            peer.pointee.own.removeFirst(sent)
        }
        let isWaiting = peer.pointee.pending > 0 || !peer.pointee.own.isEmpty || !peer.pointee.isDrained
        try want(writable: isWaiting, peer)
    }

    /// - Returns: bytes taken; nil when the connection has ended.
    @inline(__always)
    private mutating func sent(_ result: IOResult, _ peer: PeerPlace) throws(Errno) -> Int? {
        switch result {
        case .moved(let count): return count
        case .wouldBlock, .endOfStream: return 0
        case .failed(let error):
            try ended(peer, "sending failed: \(error)")
            return nil
        }
    }

    /// Any key does: there is no proxy here that the mask would protect.
    static var key: UInt32 { 0x5AA5_C33C }

    func queueControl(_ opcode: UInt8, _ payload: [UInt8], on peer: PeerPlace) {
        let frame = FrameStream.frame(opcode: opcode, key: Self.key, payload)
        unsafe frame.withUnsafeBytes { unsafe peer.pointee.own.append($0) }
    }

    /// Takes bytes of a control frame; false when the connection has ended by it.
    mutating func takeControl(_ payload: Span<UInt8>, _ isEnd: Bool, from peer: PeerPlace) throws(Errno) -> Bool {
        unsafe payload.withUnsafeBytes { unsafe peer.pointee.control.append($0) }
        guard isEnd else { return true }
        let bytes = unsafe Array(UnsafeRawBufferPointer(peer.pointee.control.bytes))
        peer.pointee.control.removeAll()
        switch peer.pointee.reader.opcode {
        case 9:
            // RFC 6455 5.5.2: a Ping is answered, unless a Close has come.
            queueControl(10, bytes, on: peer)
            try flush(peer)
            return true
        case 10:
            if bytes == Self.question { peer.pointee.hasAnswered = true }
            return true
        default:
            return try takeClose(bytes, from: peer)
        }
    }

    private mutating func takeClose(_ bytes: [UInt8], from peer: PeerPlace) throws(Errno) -> Bool {
        let code = bytes.count < 2 ? CloseCode.none : UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        guard peer.pointee.phase == .closing, !peer.pointee.hasAnswered, code == CloseCode.normal else {
            try ended(peer, "the server sent Close with code \(code)")
            return false
        }
        peer.pointee.hasAnswered = true
        return true
    }

    /// What an idle connection is asked.
    static var question: [UInt8] { Array("alive?".utf8) }

    mutating func beginClosing(_ peer: PeerPlace) throws(Errno) {
        if tally.isOn, peer.pointee.tls?.isResumed == true { resumed &+= 1 }
        tally.count(now &- min(now, peer.pointee.begun), bytes: 0, now: now)
        peer.pointee.phase = .closing
        queueControl(8, [0x03, 0xE8], on: peer)
        try flush(peer)
    }

    // MARK: The end

    /// The connection is over, by the server's will or the network's.
    mutating func ended(_ peer: PeerPlace, _ sentence: String) throws(Errno) {
        let sentence = Self.reason(peer) ?? sentence
        switch peer.pointee.phase {
        case .connecting, .securing, .handshake: faults.add(.refused, "connection \(peer.pointee.slot): \(sentence)")
        case .open: faults.add(.closed, "connection \(peer.pointee.slot): \(sentence)")
        case .closing:
            // RFC 6455 7.1.1: the server ends the connection first, once both Close frames have passed.
            if peer.pointee.hasAnswered {
                completed &+= 1
            } else {
                faults.add(.closed, "connection \(peer.pointee.slot): the server did not answer Close, but \(sentence)")
            }
        }
        drop(peer)
    }

    /// What TLS has to say about the end of a connection.
    private static func reason(_ peer: PeerPlace) -> String? {
        // Before the handshake began, and behind the closing one, the socket's own reason is the better one.
        guard let layer = peer.pointee.layer, peer.pointee.phase != .connecting, !peer.pointee.hasAnswered,
            let failure = layer.failure
        else { return nil }
        let isUntrusted = peer.pointee.tls?.isUntrusted ?? false
        return isUntrusted ? "\(failure); --cacert FILE trusts it, --insecure does not ask" : failure
    }

    /// Gives a connection up.
    mutating func drop(_ peer: PeerPlace) {
        switch peer.pointee.phase {
        case .connecting, .securing, .handshake: opening -= 1
        case .open, .closing: live -= 1
        }
        // A reset leaves no port behind in TIME-WAIT, of which a benchmark would need tens of thousands.
        peer.pointee.socket.resetOnClose()
        peers.remove(peer.pointee.slot)
    }
}

/// Why there was no run, or no end of it.
package enum LoadFailure: Error, Sendable {
    case usage(String)
    case system(Errno)
}
