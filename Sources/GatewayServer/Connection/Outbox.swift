import Bytes
import GatewayIO
import WebSocket

/// What one connection has still to send: frames in order, how full that makes it, and what a sender is to be told.
///
/// It knows no socket but the transport it is given, and calls no handler. The worker's thread alone.
///
/// Marks: half of `send_buffer` is the high-water mark. Below it one message of any size is taken, since it may answer
/// one that the gateway chose to read; above it nothing that would make more than `send_buffer`.
struct Outbox: ~Copyable {
    private struct Flags: OptionSet {
        let rawValue: UInt8

        static let blocked = Flags(rawValue: 1 << 0)
        static let streaming = Flags(rawValue: 1 << 1)
        static let owesDrained = Flags(rawValue: 1 << 2)
        static let noted = Flags(rawValue: 1 << 3)
        /// The last fragmented message is, or was, a binary one.
        static let streamsBinary = Flags(rawValue: 1 << 4)
        static let recorded = Flags(rawValue: 1 << 5)
    }

    /// What a send comes to.
    enum Answer {
        case taken
        /// Taken, and more than the high-water mark waits: the sender hears `drained` when that is over.
        case backpressure
    }

    /// What writing came to.
    enum Written: Equatable {
        /// All of it is with the transport.
        case all
        /// The transport takes no more for now.
        case blocked
        case failed(Errno)
    }

    private var queue = SendQueue()
    private var flags: Flags = []

    /// Bytes that have not been written.
    var count: Int { @inline(__always) get { queue.count } }
    var isEmpty: Bool { @inline(__always) get { queue.isEmpty } }

    /// A copy of them.
    var unsent: [UInt8] { queue.bytes }

    /// Visits them from a place on, run by run.
    func visitUnsent(from start: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        unsafe queue.visit(from: start, body)
    }

    // MARK: State

    /// The transport took less than everything: nothing is written before it takes more.
    var isBlocked: Bool {
        @inline(__always) get { flags.contains(.blocked) }
        set { set(.blocked, newValue) }
    }

    /// What leaves is written down (`LedgerPage`).
    var isRecorded: Bool {
        @inline(__always) get { flags.contains(.recorded) }
        set { set(.recorded, newValue) }
    }

    /// What is queued may simply be written: one test for both.
    var isWritable: Bool { @inline(__always) get { flags.isDisjoint(with: [.blocked, .recorded]) } }

    /// A fragmented message has begun and not ended: a whole one would end up inside it (RFC 6455 5.4).
    var isStreaming: Bool { @inline(__always) get { flags.contains(.streaming) } }

    /// Nothing keeps a whole message from being written at once, or behind what is queued.
    var isClear: Bool { @inline(__always) get { flags.isDisjoint(with: [.blocked, .streaming]) } }

    /// A sender was told of backpressure and will hear `drained`.
    var owesDrained: Bool {
        @inline(__always) get { flags.contains(.owesDrained) }
        set { set(.owesDrained, newValue) }
    }

    /// Other threads know that something waits here.
    var isNoted: Bool {
        @inline(__always) get { flags.contains(.noted) }
        set { set(.noted, newValue) }
    }

    private mutating func set(_ flag: Flags, _ isSet: Bool) {
        if isSet { flags.insert(flag) } else { flags.remove(flag) }
    }

    // MARK: What senders are told

    /// Whether a message may be queued where so much waits.
    ///
    /// - Parameter most: `send_buffer`.
    @inline(__always)
    static func admits(_ bytes: Int, behind waiting: Int, atMost most: Int) -> Bool {
        waiting <= most >> 1 || waiting &+ bytes <= most
    }

    /// What the sender of what was queued last is told.
    @inline(__always)
    func answer(atMost most: Int) -> Answer { count <= most >> 1 ? .taken : .backpressure }

    // MARK: Queueing

    /// Queues bytes that are no frame: a response.
    mutating func append(_ bytes: UnsafeRawBufferPointer, pool: borrowing BlockPool) {
        unsafe queue.append(bytes, pool: pool, size: .small)
    }

    /// Queues a frame with a copy of its payload.
    @inline(__always)
    mutating func append(
        _ header: FrameWriter, _ payload: UnsafeRawBufferPointer, pool: borrowing BlockPool, size: BlockPool.Size
    ) {
        queue.append(header: header.low, header.high, count: header.count, pool: pool, size: size)
        unsafe queue.append(payload, pool: pool, size: size)
    }

    /// Queues a frame whose payload is shared, taking over one ownership.
    mutating func append(
        _ header: FrameWriter, shared: UnsafeMutablePointer<SharedBuffer>, pool: borrowing BlockPool
    ) {
        queue.append(header: header.low, header.high, count: header.count, pool: pool, size: .small)
        unsafe queue.append(shared: shared, from: 0, pool: pool)
    }

    /// Queues the rest of a shared run of frames, taking over one ownership.
    mutating func append(shared: UnsafeMutablePointer<SharedBuffer>, from start: Int, pool: borrowing BlockPool) {
        unsafe queue.append(shared: shared, from: start, pool: pool)
    }

    /// A data frame has been queued that may begin or end a fragmented message.
    ///
    /// - Returns: whether one has ended, and what waits for that may follow.
    @inline(__always)
    mutating func note(_ opcode: Opcode, isFinal: Bool) -> Bool {
        if !isFinal {
            if opcode != .continuation { set(.streamsBinary, opcode == .binary) }
            flags.insert(.streaming)
        } else if opcode == .continuation {
            flags.remove(.streaming)
            return true
        }
        return false
    }

    /// What kind of message a frame belongs to that has just been queued: GW_TEXT or GW_BINARY.
    @inline(__always)
    func kind(of opcode: Opcode) -> UInt32 {
        if opcode != .continuation { return UInt32(opcode.rawValue) }
        return flags.contains(.streamsBinary) ? 2 : 1
    }

    /// Queues what has waited for the end of a fragmented message.
    mutating func append(held: inout SendQueue) { queue.append(&held) }

    // MARK: Giving up messages

    /// Finds the oldest whole messages behind a place in the queue where a frame begins.
    func messages(from border: Int, atLeast bytes: Int) -> WholeMessages {
        WholeMessages(in: queue, from: border, atLeast: bytes)
    }

    /// Takes messages out of the queue.
    mutating func drop(_ messages: WholeMessages, pool: borrowing BlockPool) {
        if pool.hasInPlaceRun { queue.keep(pool: pool) }
        messages.remove(from: &queue, pool: pool)
    }

    /// Takes everything out that stands behind a border.
    ///
    /// - Returns: how many messages that were.
    mutating func dropAll(from border: Int, _ pool: borrowing BlockPool) -> Int {
        if border >= queue.count { return 0 }
        if pool.hasInPlaceRun { queue.keep(pool: pool) }
        let count = WholeMessages(in: queue, from: border, atLeast: .max).count
        queue.remove(border..<queue.count, pool: pool)
        return count
    }

    /// Frees everything that has not been written.
    mutating func removeAll(pool: borrowing BlockPool) { queue.removeAll(pool: pool) }

    // MARK: Frames that stay where they are

    /// Queues a frame whose payload stays in the read buffer (`SendQueue.appendInPlace`).
    @inline(__always)
    mutating func appendInPlace(
        _ header: FrameWriter, _ payload: UnsafeMutableRawPointer, count: Int, pool: borrowing BlockPool
    ) -> Bool {
        unsafe queue.appendInPlace(header: header.low, count: header.count, payload: payload, count: count, pool: pool)
    }

    /// Where the last of such frames ends; nil where there is none.
    @inline(__always)
    func endOfInPlaceRun(pool: borrowing BlockPool) -> UnsafeMutableRawPointer? {
        unsafe queue.endOfInPlaceRun(pool: pool)
    }

    /// Copies such frames: their memory is used again.
    @inline(__always)
    mutating func keep(pool: borrowing BlockPool) { queue.keep(pool: pool) }

    // MARK: Writing

    /// Hands the queue to a plain transport, which nearly always takes all of it.
    ///
    /// - Returns: what the transport said; the queue is empty now or as it was, and the rest is up to `write`. Nil when
    ///   there was nothing to write, or a layer below has a part in it.
    @inline(__always)
    mutating func writeAtOnce(to transport: borrowing Transport, pool: borrowing BlockPool) -> IOResult? {
        if queue.isEmpty || !transport.isPlain { return nil }
        let result = unsafe transport.write(queue)
        if case .moved(let count) = result, count == queue.count { queue.removeAll(pool: pool) }
        return result
    }

    /// Hands the queue to the transport until it is empty or the transport takes no more.
    ///
    /// - Parameters:
    ///   - first: what the transport has said already to the queue as it is.
    ///   - note: hears how many bytes of the queue were taken, each time some are.
    mutating func write(
        after first: IOResult? = nil, to transport: borrowing Transport, pool: borrowing BlockPool,
        _ note: (Int, borrowing SendQueue) -> Void
    ) -> Written {
        var known = first
        while !queue.isEmpty {
            let result = unsafe known ?? transport.write(queue)
            known = nil
            switch result {
            case .moved(let count):
                note(count, queue)
                // Many small blocks do not fit one call: less than everything is not yet "full" then.
                queue.removeFirst(count, pool: pool)
            case .wouldBlock:
                flags.insert(.blocked)
                return .blocked
            case .endOfStream: return .all
            case .failed(let error): return .failed(error)
            }
        }
        return transport.isPlain ? .all : flush(transport)
    }

    /// The queue is empty; what the layer below keeps of it goes to the kernel as well.
    private mutating func flush(_ transport: borrowing Transport) -> Written {
        switch transport.flush() {
        case .moved, .endOfStream: return .all
        case .wouldBlock:
            flags.insert(.blocked)
            return .blocked
        case .failed(let error): return .failed(error)
        }
    }

    /// Offers the transport the queue and a large frame behind it; only what it leaves of the payload is copied.
    ///
    /// An error is left to the next write, which meets it again.
    mutating func writeThrough(
        _ header: FrameWriter, _ payload: UnsafeRawBufferPointer, to transport: borrowing Transport,
        pool: borrowing BlockPool, _ note: (Int) -> Void
    ) {
        queue.append(header: header.low, header.high, count: header.count, pool: pool, size: .large)
        let queued = queue.count
        var taken = 0
        switch unsafe transport.write(queue, tail: payload) {
        case .moved(let count):
            note(count)
            queue.removeFirst(min(count, queued), pool: pool)
            taken = max(0, count - queued)
            if count < queued + payload.count { flags.insert(.blocked) }
        case .wouldBlock: flags.insert(.blocked)
        case .endOfStream, .failed: break
        }
        unsafe queue.append(UnsafeRawBufferPointer(rebasing: payload[taken...]), pool: pool, size: .large)
    }
}
