import Bytes
import GatewayIO
import GatewayTLS
import Glibc
import WebSocket

/// One connection to the server, in a slot of the generator.
struct Peer: ~Copyable {
    enum Phase: UInt8 {
        /// The request waits for the connection.
        case connecting
        /// TLS is being agreed on; the request waits for that.
        case securing
        /// The reply is awaited.
        case handshake
        /// Messages flow.
        case open
        /// Our Close is sent, the server's is awaited.
        case closing
    }

    let socket: Socket
    /// What is between it and its socket; nil where bytes go as they are.
    let layer: TransportLayer?
    /// nil for `ws:`.
    let tls: TLSLayer?
    let slot: UInt32
    /// The poller's name for this connection, which no other one will ever have.
    let token: UInt64
    var phase = Phase.connecting
    var wantsWritable = false
    /// When `connect` was called.
    let begun: UInt64
    var reader = ServerFrameReader()
    /// Where the server keeps context between its compressed messages.
    var inflater: Inflater?
    /// The reply, or the front of a message that was cut and is wanted in one piece.
    var collected = ByteBuffer()
    /// The payload of a control frame, which may stand between the fragments of a message.
    var control = ByteBuffer()

    /// Place in the stream of the next byte to be sent, and how many from there are due.
    var position = 0
    var pending = 0
    /// Bytes of their own that are due: publications, and control frames that must not land inside another frame.
    var own = ByteBuffer()

    /// The message of the stream that has to come back next, and how much of it has.
    var variant = 0
    var received = 0
    var isChecked = true
    /// Numbers the messages, to check one in so many of the long ones.
    var messages: UInt32 = 0
    /// Where the time of the oldest message under way stands in the ring, and how many are.
    var ringHead = 0
    var underWay = 0
    /// When the last message came; 0 before the first.
    var lastHeard: UInt64 = 0

    /// The publication that has to come next; nil before the first.
    var nextPublication: UInt32?
    var hasAnswered = false

    init(
        _ socket: consuming Socket, _ layer: TransportLayer?, _ tls: TLSLayer?, slot: UInt32, serial: UInt32,
        now: UInt64
    ) {
        self.socket = socket
        self.layer = layer
        self.tls = tls
        self.slot = slot
        token = UInt64(serial) << 32 | UInt64(slot)
        begun = now
    }

    /// Sends what is taken of the bytes.
    @inline(__always)
    func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        if let layer { return unsafe layer.write(socket, bytes) }
        return unsafe socket.send(bytes)
    }

    /// Nothing that was sent waits for the kernel.
    @inline(__always)
    var isDrained: Bool { layer.map { $0.isDrained } ?? true }
}

/// The place of a peer: memory that stays as long as the table.
@safe struct PeerPlace {
    private let address: UnsafeMutablePointer<Peer>

    fileprivate init(_ address: UnsafeMutablePointer<Peer>) { unsafe self.address = address }

    var pointee: Peer {
        @inline(__always) unsafeAddress { unsafe UnsafePointer(address) }
        @inline(__always) nonmutating unsafeMutableAddress { unsafe address }
    }
}

/// The slots of all peers. A slot's serial is odd while it is taken, so that a stale event finds no peer.
struct PeerTable: ~Copyable {
    private let slots: ReservedArray<Peer>
    private let serials: ReservedArray<UInt32>
    let count: UInt32

    init(count: Int) throws(Errno) {
        guard let slots = ReservedArray<Peer>(capacity: count), let serials = ReservedArray<UInt32>(capacity: count)
        else {
            throw Errno(ENOMEM)
        }
        self.slots = slots
        self.serials = serials
        self.count = UInt32(truncatingIfNeeded: count)
    }

    deinit { for slot in 0..<count where serials[slot] & 1 == 1 { unsafe slots.address(slot).deinitialize(count: 1) } }

    func insert(
        _ socket: consuming Socket, _ layer: TransportLayer?, _ tls: TLSLayer?, at slot: UInt32, now: UInt64
    ) -> PeerPlace {
        precondition(serials[slot] & 1 == 0, "slot \(slot) is taken")
        // Not `&+=`: with the thread sanitizer the compiler (6.3.1) makes invalid code of it.
        serials[slot] = serials[slot] &+ 1
        let peer = Peer(socket, layer, tls, slot: slot, serial: serials[slot], now: now)
        unsafe slots.address(slot).initialize(to: peer)
        return unsafe PeerPlace(slots.address(slot))
    }

    /// Closes the socket of a peer and frees its slot.
    func remove(_ slot: UInt32) {
        precondition(serials[slot] & 1 == 1, "slot \(slot) is empty")
        // Not `&+=`: with the thread sanitizer the compiler (6.3.1) makes invalid code of it.
        serials[slot] = serials[slot] &+ 1
        unsafe slots.address(slot).deinitialize(count: 1)
    }

    /// The peer that an event names; nil when it has gone.
    @inline(__always)
    func find(_ token: UInt64) -> PeerPlace? {
        let slot = UInt32(truncatingIfNeeded: token)
        guard slot < count, serials[slot] == UInt32(truncatingIfNeeded: token >> 32) else { return nil }
        return unsafe PeerPlace(slots.address(slot))
    }

    /// The peer that is in a slot.
    func occupant(_ slot: UInt32) -> PeerPlace? {
        guard serials[slot] & 1 == 1 else { return nil }
        return unsafe PeerPlace(slots.address(slot))
    }
}
