import CGatewayABI

/// A callback of a connection on its way to a thread of the pool, with everything it needs.
enum PooledCall: Sendable {
    /// `upgrade`, or `http` where the request is a plain one.
    case ask(HeldExchange)
    case open(HeldExchange, state: UInt, subprotocol: Range<Int>?)
    /// A whole message, or a piece of one, with the flags that handlers see.
    case message(kind: UInt32, flags: UInt32, [UInt8], receivedAt: UInt64)
    case ping([UInt8])
    case pong([UInt8])
    case drained
    case error(gw_status, String)
    case event(LaterEvent)
    /// The connection goes to another instance.
    case move(HandOver)
    case close(Ending)

    /// What the peer sent: it waits while the handler has switched reading off, and counts against what may wait.
    var isInput: Bool {
        switch self {
        case .message, .ping, .pong: true
        case .ask, .open, .drained, .error, .event, .move, .close: false
        }
    }

    /// Octets that it keeps from the peer, and something for keeping them.
    var weight: Int {
        switch self {
        case .message(_, _, let octets, _), .ping(let octets), .pong(let octets): octets.count + 64
        case .ask, .open, .drained, .error, .event, .move, .close: 0
        }
    }
}

/// How a connection ended, as `close` will tell.
struct Ending: Sendable {
    let code: UInt16
    let by: UInt16
    let reason: [UInt8]
    let messagesIn: UInt64
    let messagesOut: UInt64
    let octetsIn: UInt64
    let octetsOut: UInt64
    let osError: Int32

    init(_ peer: ConnectionPlace) {
        code = peer.its.closeCode
        by = UInt16(peer.its.closeBy)
        reason = peer.its.belongings?.closeReason ?? []
        messagesIn = peer.its.messagesIn
        messagesOut = peer.its.messagesOut
        octetsIn = peer.its.octetsIn
        octetsOut = peer.its.octetsOut
        osError = Int32(peer.its.osError)
    }

    /// Makes it as handlers see it, for the length of `body`.
    func lend(_ body: (UnsafePointer<gw_close>) -> Void) {
        var close = unsafe gw_close()
        unsafe close.struct_size = UInt32(MemoryLayout<gw_close>.size)
        unsafe close.code = code
        unsafe close.by = by
        unsafe close.msgs_in = messagesIn
        unsafe close.msgs_out = messagesOut
        unsafe close.bytes_in = octetsIn
        unsafe close.bytes_out = octetsOut
        unsafe close.os_error = osError
        unsafe reason.withUnsafeBytes { text in
            unsafe close.reason = gw_str(ptr: text.baseAddress?.assumingMemoryBound(to: CChar.self), len: text.count)
            unsafe body(&close)
        }
    }
}

/// Keeps a request alive for a thread of the pool. The worker does not touch its record meanwhile: whatever changes it
/// on the way is a call of the same lane.
final class HeldExchange: Sendable {
    private let address: UInt

    init(_ exchange: Exchange) {
        address = unsafe UInt(bitPattern: Unmanaged.passRetained(exchange).toOpaque())
    }

    deinit {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { return }
        unsafe Unmanaged<Exchange>.fromOpaque(pointer).release()
    }

    /// For the length of `body` at least.
    func with<Result>(_ body: (Exchange) -> Result) -> Result {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { preconditionFailure("no exchange") }
        return unsafe Unmanaged<Exchange>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
    }
}
