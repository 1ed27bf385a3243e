import CGatewayABI
import CLinux
import HandlerModules

/// Bytes that a callback is lent: those of the loop's buffers, or copies that wait for the pool.
protocol CallbackBytes {
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result
    var byteCount: Int { get }
}

/// Bytes that stay where they are for the length of a callback.
@safe struct BorrowedBytes: CallbackBytes {
    private let bytes: UnsafeRawBufferPointer

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) { unsafe (self.bytes = bytes) }

    @inline(__always)
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result { unsafe body(bytes) }
    var byteCount: Int { unsafe bytes.count }
}

extension [UInt8]: CallbackBytes {
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result { unsafe withUnsafeBytes(body) }
    var byteCount: Int { count }
}

/// A callback of one connection with everything it needs: made by the worker, and carried out by a `CallbackRunner` on
/// the loop or on the pool. Nothing else knows how these callbacks are called, but for the run of whole short messages
/// (`Worker.readWholeMessages`), which has the first case in it.
enum HandlerCall<Bytes: CallbackBytes> {
    /// A whole message, or a piece of one, with the flags that handlers see.
    case message(kind: UInt32, flags: UInt32, Bytes, receivedAt: UInt64)
    case ping(Bytes)
    case pong(Bytes)
    /// `upgrade`, or `http` where the request is a plain one.
    case ask(RetainedExchange)
    case open(RetainedExchange, subprotocol: Range<Int>?)
    case drained
    case error(gw_status, String)
    case event(HandlerEvent)
    case close(Ending)
}

extension HandlerCall: Sendable where Bytes: Sendable {}

extension HandlerCall {
    /// The same with bytes of its own.
    func kept() -> HandlerCall<[UInt8]> {
        switch self {
        case .message(let kind, let flags, let bytes, let receivedAt):
            .message(kind: kind, flags: flags, unsafe bytes.withBytes { unsafe Array($0) }, receivedAt: receivedAt)
        case .ping(let bytes): .ping(unsafe bytes.withBytes { unsafe Array($0) })
        case .pong(let bytes): .pong(unsafe bytes.withBytes { unsafe Array($0) })
        case .ask(let exchange): .ask(exchange)
        case .open(let exchange, let subprotocol): .open(exchange, subprotocol: subprotocol)
        case .drained: .drained
        case .error(let status, let what): .error(status, what)
        case .event(let event): .event(event)
        case .close(let ending): .close(ending)
        }
    }

    /// What the peer sent: it waits while the handler has switched reading off, and counts against what may wait.
    var isInput: Bool {
        switch self {
        case .message, .ping, .pong: true
        case .ask, .open, .drained, .error, .event, .close: false
        }
    }

    /// Bytes that it keeps from the peer, and something for keeping them.
    var weight: Int {
        switch self {
        case .message(_, _, let bytes, _), .ping(let bytes), .pong(let bytes): bytes.byteCount + 64
        case .ask, .open, .drained, .error, .event, .close: 0
        }
    }

    /// Whether anything comes of it with this handler.
    @inline(__always)
    func isHeard(by handler: HandlerCallbacks) -> Bool {
        switch self {
        case .message: unsafe handler.fragment != nil || handler.message != nil
        case .ping: unsafe handler.ping != nil
        case .pong: unsafe handler.pong != nil
        case .drained: unsafe handler.drained != nil
        case .error: unsafe handler.error != nil
        // There is more to do than to call.
        case .ask, .open, .event, .close: true
        }
    }

    /// Calls the callback, if the handler has it.
    ///
    /// - Returns: what `upgrade` or `http` answered; nothing of note for the others.
    @discardableResult
    func perform(on runner: some CallbackRunner) -> gw_status {
        switch self {
        case .message(let kind, let flags, let bytes, let receivedAt):
            unsafe bytes.withBytes { unsafe runner.message(kind, flags, $0, receivedAt) }
        case .ping(let bytes):
            unsafe bytes.withBytes { unsafe runner.control(CLINUX_PING, runner.binding.pointee.handler.ping, $0) }
        case .pong(let bytes):
            unsafe bytes.withBytes { unsafe runner.control(CLINUX_PONG, runner.binding.pointee.handler.pong, $0) }
        case .ask(let exchange): return exchange.with { runner.ask($0) }
        case .open(let retained, let subprotocol): retained.with { runner.open($0, subprotocol) }
        case .drained: runner.drained()
        case .error(let status, let what): runner.error(status, what)
        case .event(let event): runner.event(event)
        case .close(let ending): runner.close(ending)
        }
        return Status.ok
    }
}
