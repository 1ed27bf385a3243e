import Bytes
import CGatewayABI
import GatewayIO
import WebSocket

/// One peer, from `accept` to the end, in a slot of its worker.
///
///                    ┌──────────── keep-alive ───────────┐
///     accept ─▶ head ─┬─▶ body ─▶ answering ─▶ response ─┤
///                     └─▶ answering ─▶ open ─▶ closing ─▶ ending ─▶ lingering ─▶ gone
///
/// Only the worker that owns the slot touches it; what other threads may know stands in `SharedConnectionTable`.
@safe struct Connection: ~Copyable {
    enum Phase: UInt8 {
        /// Bytes of a request head are awaited or collected.
        case head
        /// Bytes of a plain request's body are collected.
        case body
        /// The handler owes a reply; what the peer sends meanwhile waits.
        case answering
        /// It is with the process of its handler (`AwayConnections`).
        case away
        /// Messages flow.
        case open
        /// It speaks HTTP/2: its streams are connections of their own.
        case multiplexed
        /// Our Close is queued or sent, the peer's is awaited; data is thrown away.
        case closing
        /// Nothing more is sent but what is queued; then the end of our side is sent.
        case ending
        /// Our side has ended; the peer's bytes are thrown away until it ends too, so that a reset does not
        /// destroy what we sent last.
        case lingering
        /// To be taken out of its slot at the end of the turn.
        case gone
    }

    struct Flags: OptionSet {
        let rawValue: UInt16

        /// The connection has output of this turn: it is in the worker's list of those, or being read, after which it
        /// is written.
        static let dirty = Flags(rawValue: 1 << 0)
        /// The handler switched reading off.
        static let readingOff = Flags(rawValue: 1 << 1)
        /// Too much output waits: the peer is not read from before it reads.
        static let throttled = Flags(rawValue: 1 << 2)
        /// The callback queue delivers nothing more before the peer has read.
        static let poolThrottled = Flags(rawValue: 1 << 3)
        /// `open` was called and `close` was not.
        static let opened = Flags(rawValue: 1 << 4)
        /// A ping of ours has not been answered.
        static let pinged = Flags(rawValue: 1 << 5)
        /// Both Close frames have passed: no lingering is needed.
        static let clean = Flags(rawValue: 1 << 6)
        /// The peer left while the handler was making up its mind.
        static let peerLeft = Flags(rawValue: 1 << 7)
        /// Listed to be looked at again in this turn: held input may go on.
        static let resumed = Flags(rawValue: 1 << 8)
        /// Over `max_connections`, or come while draining: only there to be told so.
        static let surplus = Flags(rawValue: 1 << 9)
        /// Counted against its route.
        static let counted = Flags(rawValue: 1 << 10)
        /// The peer finished sending.
        static let inputEnded = Flags(rawValue: 1 << 11)
        /// Subscribed to something.
        static let member = Flags(rawValue: 1 << 12)
        /// The poller was asked to tell of input.
        static let asksInput = Flags(rawValue: 1 << 13)
        /// The poller was asked to tell when output is taken again.
        static let asksOutput = Flags(rawValue: 1 << 14)
        /// What is sent to it does not go the short ways: messages may be compressed, or somebody follows its frames.
        static let inspected = Flags(rawValue: 1 << 15)
    }

    /// Directions in which something went on.
    struct Noted: OptionSet {
        let rawValue: UInt8

        static let input = Noted(rawValue: 1 << 0)
        static let output = Noted(rawValue: 1 << 1)
    }

    // In this order they leave no gaps: every byte here is one for each idle connection.
    let id: ConnectionID
    var transport: Transport
    var flags: Flags = .asksInput
    var phase = Phase.head
    /// Why it ends, as the handler will hear it: the first Close frame decides.
    var closeBy: UInt8 = 0

    var outbox = Outbox()
    /// What has been noted of it since the tick began (`Activity`).
    var noted: Noted = []
    var closeCode: UInt16 = 0
    /// When the phase must be over; 0 for never. Ticks.
    var deadline: UInt32 = 0
    var reader = FrameReader()
    /// A message that has begun and not ended.
    var assembler = MessageAssembler()
    /// Bytes that were received and not used yet: the front of a head, a frame header, or input that is held.
    var leftover = ByteBuffer()

    /// The route and instance; nil until a request has been routed.
    var binding: UnsafeMutablePointer<Binding>?
    /// The handler's own.
    var state: UnsafeMutableRawPointer?
    /// The request under way, from its head to its answer; kept longer only for GW_HF_KEEP_REQUEST.
    var exchange: Exchange?
    /// What few have: topics, half a request head, a reason for its end.
    var rareState: RareState?

    /// What had gone out when the deadline was set; while open, what had come in when the pong was last waited for. The
    /// low half of the count of bytes.
    var mark: UInt32 = 0
    /// When the last message came or went.
    var lastMessage: UInt32
    /// When the next ping is due, or the pong to the last one.
    var pingDue: UInt32 = 0
    /// When the last ping left, in microseconds of the monotonic clock, of which this is the low half; 0 for never.
    var pingStamp: UInt32 = 0

    var messagesIn: UInt64 = 0
    var messagesOut: UInt64 = 0
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    /// How much of that the counters of its instance have.
    var counted = CountedTraffic()

    init(slot: UInt32, serial: UInt32, worker: UInt8, transport: consuming Transport, now: UInt32) {
        id = ConnectionID(worker: worker, slot: slot, serial: serial)
        self.transport = transport
        lastMessage = now
    }

    var slot: UInt32 { id.slot }
    var serial: UInt32 { id.serial }

    /// What the poller was asked for.
    var interest: Poller.Interest {
        get {
            var interest: Poller.Interest = []
            if flags.contains(.asksInput) { interest.insert(.readable) }
            if flags.contains(.asksOutput) { interest.insert(.writable) }
            return interest
        }
        set {
            flags.remove([.asksInput, .asksOutput])
            if newValue.contains(.readable) { flags.insert(.asksInput) }
            if newValue.contains(.writable) { flags.insert(.asksOutput) }
        }
    }

    /// The poller's name for this peer in this slot; of another one it will not be.
    var token: UInt64 { UInt64(serial) << 32 | UInt64(slot) }

    /// The poller may have to be asked for something else than it was.
    @inline(__always)
    var mayWantAnother: Bool {
        // One test for five flags: where nothing is out of the ordinary only `asksInput` of them is set.
        !flags.symmetricDifference(.asksInput).isDisjoint(
            with: [.readingOff, .throttled, .inputEnded, .asksOutput, .asksInput])
            || outbox.isBlocked || isElsewhere
    }

    /// A message has come, or its last piece.
    ///
    /// - Parameter kind: GW_TEXT or GW_BINARY.
    @inline(__always)
    mutating func noteReceived(kind: UInt32) {
        messagesIn &+= 1
        counted.kindsIn &+= kind
    }

    /// A message was queued, or its last fragment.
    @inline(__always)
    mutating func noteSent(kind: UInt32) {
        messagesOut &+= 1
        counted.kindsOut &+= kind
    }

    /// Messages that were queued are given up: they go on counting as sent for the counters of the instance.
    mutating func noteDropped(_ messages: Int) {
        messagesOut &-= UInt64(truncatingIfNeeded: messages)
        counted.messagesOut &-= UInt32(truncatingIfNeeded: messages)
    }

    /// Publications that were noted just now are not queued after all.
    mutating func takeBack(_ publications: PublicationBatch.Tally) {
        messagesOut &-= UInt64(publications.messages)
        counted.kindsOut &-= publications.kinds
    }

    /// Publications were queued or written.
    @inline(__always)
    mutating func noteSent(_ publications: PublicationBatch.Tally) {
        messagesOut &+= UInt64(publications.messages)
        counted.kindsOut &+= publications.kinds
    }

    /// Input that arrived may be used.
    var mayRead: Bool { flags.isDisjoint(with: [.readingOff, .throttled]) && !isElsewhere }

    /// What the peer sends waits for its handler, or is not for this process.
    @inline(__always)
    private var isElsewhere: Bool { phase == .answering || phase == .away }
}

/// The place of a connection: valid memory for as long as the worker lives, so it cannot dangle.
///
/// That it still is the same peer is what serials are for; within a turn no slot is given to another one.
@safe struct ConnectionPointer {
    private let address: UnsafeMutablePointer<Connection>

    init(_ address: UnsafeMutablePointer<Connection>) { unsafe self.address = address }

    /// The connection there.
    var pointee: Connection {
        @inline(__always) unsafeAddress { unsafe UnsafePointer(address) }
        @inline(__always) nonmutating unsafeMutableAddress { unsafe address }
    }

    /// Where it counts the messages that its handler has been given.
    var messageCount: UnsafePointer<UInt64> {
        // The slot does not move.
        unsafe withUnsafePointer(to: &address.pointee.messagesIn) { unsafe $0 }
    }
}
