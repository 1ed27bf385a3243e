import Bytes
import GatewayCluster

/// A topic with its subscribers in one worker, whose own it is.
@safe final class WorkerTopic {
    struct Member {
        let place: ConnectionPointer
        /// Bytes of the open batch that the member has got already, or came too late for.
        var from = 0
    }

    let topic: Topic
    var members: [Member] = []
    /// The topic as other gateways know it, once something was published here.
    var shared: SharedTopic? {
        didSet { unsafe borrowed = shared.map { unsafe Unmanaged.passUnretained($0) } }
    }
    /// The same without counting references.
    private(set) var borrowed: Unmanaged<SharedTopic>?

    init(_ topic: Topic) { self.topic = topic }
}

/// Publications of this turn in one topic: framed once, one run of bytes for all members.
///
/// It is sent at the end of the turn, so that many publications cost each member one system call. There is one batch
/// at a time: publishing in another topic ends it, which keeps the order in which a thread published.
struct PublicationBatch: ~Copyable {
    /// So many bytes end a batch.
    static let most = 64 * 1024
    /// Publications from here on go by themselves, and are never copied for a member.
    static let large = 16 * 1024

    var topic: WorkerTopic?
    var bytes = ByteBuffer()
    /// Where each publication begins.
    var starts: [Int] = []
    /// Which of them are not to be compressed.
    var plain: [Bool] = []
    /// Runs that one subscriber does not get: it is the `except` of a publication.
    var exceptions: [(connection: UInt64, range: Range<Int>)] = []

    var isOpen: Bool { topic != nil }

    /// The runs a member gets, in order.
    func runs(for connection: UInt64, from start: Int) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        var position = start
        for exception in exceptions where exception.connection == connection && exception.range.lowerBound >= start {
            if exception.range.lowerBound > position { runs.append(position..<exception.range.lowerBound) }
            position = exception.range.upperBound
        }
        if position < bytes.count { runs.append(position..<bytes.count) }
        return runs
    }

    /// Publications in numbers.
    struct Tally {
        var messages: UInt32 = 0
        /// The sum of GW_TEXT and GW_BINARY over them.
        var kinds: UInt32 = 0

        init() {}
        init(_ kind: UInt32) { (messages, kinds) = (1, kind) }
    }

    /// All of them.
    private(set) var publications = Tally()

    /// One has been appended that begins at `start`.
    mutating func note(_ start: Int, isPlain: Bool) {
        starts.append(start)
        plain.append(isPlain)
        publications.messages &+= 1
        publications.kinds &+= unsafe Self.kind(of: UnsafeRawBufferPointer(rebasing: bytes.bytes[start...]))
    }

    /// GW_TEXT or GW_BINARY, by the opcode of a frame.
    static func kind(of frame: UnsafeRawBufferPointer) -> UInt32 { unsafe frame.first.map { UInt32($0 & 0x0F) } ?? 0 }

    /// Those that begin in a run.
    func publications(in run: Range<Int>) -> Tally {
        var tally = Tally()
        for start in starts where run.contains(start) {
            tally.messages &+= 1
            tally.kinds &+= unsafe Self.kind(of: UnsafeRawBufferPointer(rebasing: bytes.bytes[start...]))
        }
        return tally
    }

    mutating func empty() {
        bytes.removeAll()
        starts.removeAll(keepingCapacity: true)
        publications = Tally()
        plain.removeAll(keepingCapacity: true)
        exceptions.removeAll(keepingCapacity: true)
    }
}
