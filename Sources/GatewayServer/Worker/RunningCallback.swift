import Bytes
import CGatewayABI

/// The callback that runs on a worker's thread, as host functions look it up: its connection, and what it was lent.
///
/// Nothing here is held over a call of a handler: the worker's members are looked at and changed in moments.
@safe struct RunningCallback: ~Copyable {
    /// The connection whose callback runs; 0 when none does.
    private(set) var connection: UInt64 = 0
    /// The place of that connection; nil when no callback runs.
    private(set) var peer: ConnectionPointer?
    /// The address of the host table of the handler that may send the message it is given back from where it lies; 0
    /// when none may.
    var echoHost: UInt = 0
    /// As long as no more than so much waits for the connection.
    var echoRoom = 0
    /// The callback is `restore_conn`.
    var isRestoring = false
    /// The ticket of the request that the callback is about; 0 when it is about none.
    var ticket: UInt64 = 0
    /// The message that the callback was lent.
    let message: UnsafeMutablePointer<gw_message>
    /// The buffer that stands for the message's payload.
    let borrowedBuffer: UnsafeMutablePointer<SharedBuffer>
    /// The next message is to be timed.
    var isSample = false
    /// Where the handler is watched: when the callback began.
    var watch: CallWatch?
    /// What handlers that are watched were lent.
    var poisonedBuffers = PoisonedBuffers()

    init() {
        unsafe borrowedBuffer = SharedBuffer.borrowed()
        unsafe message = .allocate(capacity: 1)
        unsafe message.initialize(to: gw_message())
        unsafe message.pointee.struct_size = UInt32(MemoryLayout<gw_message>.size)
        unsafe message.pointee.buf = OpaquePointer(borrowedBuffer)
    }

    deinit {
        unsafe borrowedBuffer.deinitialize(count: 1)
        unsafe borrowedBuffer.deallocate()
        unsafe message.deallocate()
    }

    /// From here on the connection is the current one of this thread.
    @inline(__always)
    mutating func begin(_ peer: ConnectionPointer) {
        connection = peer.pointee.id.number
        self.peer = peer
    }

    @inline(__always)
    mutating func end() {
        connection = 0
        peer = nil
    }

    /// The callback goes on, but names no connection: it is about a request.
    mutating func forgetConnection() { connection = 0 }

    /// Whether a payload is a part of the text message that is being delivered: that was checked on its way in,
    /// and a part that begins and ends between characters is text as well.
    @inline(__always)
    func isBorrowedText(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard unsafe message.pointee.kind == UInt32(GW_TEXT), let start = payload.baseAddress,
            let lent = unsafe borrowedBuffer.pointee.start
        else { return false }
        let end = unsafe start + payload.count
        let lentEnd = unsafe lent + borrowedBuffer.pointee.count
        guard unsafe start >= lent, unsafe end <= lentEnd, payload.count > 0 else { return false }
        if unsafe start.load(as: UInt8.self) & 0xC0 == 0x80 { return false }
        return unsafe end == lentEnd || end.load(as: UInt8.self) & 0xC0 != 0x80
    }
}
