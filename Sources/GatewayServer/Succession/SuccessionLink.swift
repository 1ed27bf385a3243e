import GatewayIO
import Glibc

/// What connects a program that serves with the one that takes over: messages both ways, whole and in their order, with their
/// descriptors. It belongs to one thread, and never waits.
///
/// What cannot leave yet is kept, and `isFull` asks to send no more of what can wait; the other side is read only as fast as
/// its messages are taken.
struct SuccessionLink: ~Copyable {
    /// Bytes that wait, above which the link is full; a message that is sent all the same is kept.
    static let mostWaiting = 4 << 20
    /// Messages without descriptors share a block up to this length, for one call.
    private static let blockLength = 64 << 10
    private static let readLength = 256 << 10
    /// Of reads in one turn: others want their turn, too.
    private static let readsInTurn = 8
    /// Nanoseconds after which what was too much for the kernel is tried again.
    private static let retry: UInt64 = 5_000_000

    /// What leaves together: the descriptors go with the first byte.
    private struct Block {
        var bytes: [UInt8]
        var descriptors: PassedDescriptors?
    }

    private let socket: DescriptorSocket
    private let poller: Poller
    private var interest: Poller.Interest = .readable
    private var reader = SuccessionReader()
    private var blocks = Fifo<Block>()
    /// The last block, as long as more may be added to it.
    private var open: Block?
    /// Of the first block, what has left of it.
    private var sent = 0
    private var isBroken = false

    /// Bytes that have not left yet.
    private(set) var waiting = 0
    /// The other side has said its last word; what it said before has been told.
    private(set) var hasEnded = false
    /// When another turn is due even if nothing happens, by the monotonic clock; nil = never.
    private(set) var retryAt: UInt64?

    init(_ socket: consuming DescriptorSocket) throws(Errno) {
        let poller = try Poller()
        try poller.add(socket.number, token: 0, interest: .readable)
        self.poller = poller
        self.socket = socket
    }

    /// For registration with the thread's own poller, as readable: there is something to do in a turn.
    var number: Int32 { poller.number }

    var isFull: Bool { waiting >= Self.mostWaiting }

    // MARK: Sending

    /// Sends a message, with the next turn.
    mutating func send(_ message: SuccessionMessage) {
        guard !isBroken else { return }
        let bytes = message.bytes
        waiting += bytes.count
        if let descriptors = message.descriptors {
            closeBlock()
            open = Block(bytes: bytes, descriptors: descriptors)
        } else if open != nil {
            open?.bytes += bytes
        } else {
            open = Block(bytes: bytes)
        }
        if open.map({ $0.bytes.count >= Self.blockLength }) == true { closeBlock() }
    }

    private mutating func closeBlock() {
        if let block = open { blocks.append(block) }
        open = nil
    }

    private mutating func write(_ now: UInt64) throws(SuccessionFailure) {
        retryAt = nil
        closeBlock()
        while let block = blocks.first {
            let descriptors = sent == 0 ? block.descriptors : nil
            switch socket.write(block.bytes[sent...], passing: descriptors) {
            case .moved(let count):
                sent += count
                waiting -= count
                guard sent == block.bytes.count else { continue }
                _ = blocks.popFirst()
                sent = 0
            case .wouldBlock: return
            case .crowded:
                retryAt = now &+ Self.retry
                return
            case .failed(let error):
                giveUpSending()
                // What the other side said before it went is still to be read: reading tells of the end.
                if error.code != EPIPE, error.code != ECONNRESET { throw .system(error) }
                return
            }
        }
    }

    /// Neither hears nor says anything any more: the other side is not what it should be.
    mutating func giveUp() {
        giveUpSending()
        if hasEnded { return }
        hasEnded = true
        // The poller forgets what it does not know any more, too.
        try? poller.remove(socket.number)
        interest = []
    }

    /// Nobody reads any more.
    private mutating func giveUpSending() {
        isBroken = true
        (blocks, open, sent, waiting) = (Fifo(), nil, 0, 0)
    }

    // MARK: Turns

    /// Sends what can leave, and answers with the messages that have come.
    mutating func turn(now: UInt64 = Clock.monotonicNanoseconds()) throws(SuccessionFailure) -> [SuccessionMessage] {
        try write(now)
        let messages = try hasEnded ? [] : receive()
        try watch()
        return messages
    }

    /// Only sends what can leave, where nobody could take messages.
    mutating func flush(now: UInt64 = Clock.monotonicNanoseconds()) throws(SuccessionFailure) {
        try write(now)
        try watch()
    }

    private mutating func receive() throws(SuccessionFailure) -> [SuccessionMessage] {
        var messages: [SuccessionMessage] = []
        for _ in 0..<Self.readsInTurn {
            let result = try reader.read(socket, atMost: Self.readLength)
            while let message = try reader.next() { messages.append(message) }
            switch result {
            case .moved: continue
            case .wouldBlock: return messages
            // A side that goes with words of ours unread leaves a reset behind; its own words came before.
            case .endOfStream, .failed(Errno(ECONNRESET)):
                guard reader.isBetweenMessages else { throw .cutShort }
                hasEnded = true
                giveUpSending()
                return messages
            case .failed(let error): throw .system(error)
            }
        }
        return messages
    }

    /// Asks the poller for what is needed now.
    private mutating func watch() throws(SuccessionFailure) {
        var wanted: Poller.Interest = hasEnded ? [] : .readable
        if !blocks.isEmpty, retryAt == nil { wanted.insert(.writable) }
        guard wanted != interest else { return }
        do throws(Errno) {
            // A dead socket would be reported for ever, whatever one asks for.
            if hasEnded {
                try poller.remove(socket.number)
            } else {
                try poller.modify(socket.number, token: 0, interest: wanted)
            }
        } catch {
            throw .system(error)
        }
        interest = wanted
    }
}
