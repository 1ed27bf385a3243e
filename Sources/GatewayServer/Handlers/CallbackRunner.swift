import Bytes
import CGatewayABI
import CLinux
import HandlerModules

/// Where callbacks of a connection run: on the loop of its worker, or on a thread of the pool.
///
/// The calls below are the only places that know the signatures of the callbacks.
protocol CallbackRunner {
    /// The route and instance whose callbacks are called.
    var binding: UnsafeMutablePointer<Binding> { get }
    /// The handler's own.
    var state: UnsafeMutableRawPointer? { get nonmutating set }
    /// What handlers are given as a message, and the buffer that it and the body of a request seem to lie in.
    var message: UnsafeMutablePointer<gw_message> { get }
    var borrowedBuffer: UnsafeMutablePointer<SharedBuffer> { get }
    /// The running callback is `restore_conn`.
    var isRestoring: Bool { get nonmutating set }
    /// The handler may still be asked about the connection's future: it has not been closed.
    var isOpen: Bool { get }

    /// Enters a handler's code: while `body` runs the connection is the current one of this thread, if it is to be
    /// named, no other callback of an instance that asks for GW_HF_SERIAL runs, and a crash knows whose it is.
    func enter<Result>(
        _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback, namesConnection: Bool,
        _ body: (gw_conn) -> Result
    ) -> Result

    /// What a callback is lent of bytes that came in, and taking it back: a watched handler gets a copy that can be
    /// overwritten.
    func borrow(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer
    func takeBack(_ bytes: UnsafeRawBufferPointer)
}

extension CallbackRunner {
    typealias ControlCallback =
        @convention(c) (UnsafeMutableRawPointer?, gw_conn, UnsafeMutableRawPointer?, gw_bytes) -> Void

    @inline(__always)
    private func call(_ callback: clinux_callback, _ body: (gw_conn) -> Void) {
        unsafe enter(binding, callback, namesConnection: true, body)
    }

    // MARK: What the peer sent

    @inline(__always)
    func message(_ kind: UInt32, _ flags: UInt32, _ bytes: UnsafeRawBufferPointer, _ receivedAt: UInt64) {
        let handler = unsafe binding.pointee.handler
        let isStreaming = unsafe handler.fragment != nil
        guard let callback = unsafe handler.fragment ?? handler.message else { return }
        let bytes = unsafe borrow(bytes)
        unsafe borrowedBuffer.pointee.borrow(bytes)
        unsafe message.pointee.kind = kind
        unsafe message.pointee.flags = flags
        unsafe message.pointee.data = gw_bytes(bytes)
        unsafe message.pointee.received_ns = receivedAt
        call(isStreaming ? CLINUX_FRAGMENT : CLINUX_MESSAGE) { id in
            unsafe callback(binding.pointee.instance, id, state, message)
        }
        // Nothing is lent any more.
        unsafe message.pointee.kind = 0
        unsafe takeBack(bytes)
    }

    func control(_ kind: clinux_callback, _ callback: ControlCallback?, _ payload: UnsafeRawBufferPointer) {
        guard let callback = unsafe callback else { return }
        let payload = unsafe borrow(payload)
        call(kind) { id in unsafe callback(binding.pointee.instance, id, state, gw_bytes(payload)) }
        unsafe takeBack(payload)
    }

    // MARK: Requests

    /// Calls `upgrade`, or `http` where the request is a plain one.
    func ask(_ exchange: Exchange) -> gw_status {
        let handler = unsafe binding.pointee.handler
        let isPlain = exchange.handshake == nil
        return unsafe exchange.body.withUnsafeBytes { body in
            if unsafe !body.isEmpty {
                unsafe borrowedBuffer.pointee.borrow(body)
                unsafe exchange.record.setBody(body, owner: borrowedBuffer)
            }
            let request = unsafe exchange.record.request
            // There is no connection yet that the handler could name.
            return unsafe enter(binding, isPlain ? CLINUX_HTTP : CLINUX_UPGRADE, namesConnection: false) { _ in
                unsafe (isPlain ? handler.http : handler.upgrade)?(binding.pointee.instance, request)
                    ?? Status.unsupported
            }
        }
    }

    func open(_ exchange: Exchange, _ subprotocol: Range<Int>?) {
        if let subprotocol { exchange.record.setSubprotocol(subprotocol, of: exchange) }
        guard let callback = unsafe binding.pointee.handler.open else { return }
        let request = unsafe exchange.record.request
        call(CLINUX_OPEN) { id in unsafe callback(binding.pointee.instance, id, state, request) }
    }

    // MARK: What else it hears

    func drained() {
        guard let callback = unsafe binding.pointee.handler.drained else { return }
        call(CLINUX_DRAINED) { id in unsafe callback(binding.pointee.instance, id, state) }
    }

    func error(_ status: gw_status, _ what: String) {
        guard let callback = unsafe binding.pointee.handler.error else { return }
        var what = what
        what.withUTF8 { text in
            let view = unsafe gw_str(
                ptr: UnsafeRawPointer(text.baseAddress)?.assumingMemoryBound(to: CChar.self), len: text.count)
            call(CLINUX_ERROR) { id in unsafe callback(binding.pointee.instance, id, state, status, view) }
        }
    }

    func event(_ event: HandlerEvent) {
        guard let callback = unsafe binding.pointee.handler.event else { return }
        unsafe event.withView { lent in
            call(CLINUX_EVENT) { id in unsafe callback(binding.pointee.instance, id, state, lent) }
        }
    }

    func close(_ ending: Ending) {
        guard let callback = unsafe binding.pointee.handler.close else { return }
        unsafe ending.withView { close in
            call(CLINUX_CLOSE) { id in unsafe callback(binding.pointee.instance, id, state, close) }
        }
    }

    // MARK: Handing over

    /// save_conn -> restore_conn -> drop_conn; nothing has changed when either side refuses. What `drop_conn` or a lost
    /// connection leads to on the way makes no difference any more once the new handler has a state.
    ///
    /// - Returns: whether the connection is the other instance's, and the state is what that made of it.
    func handover(_ handover: Handover, into sink: UnsafeMutablePointer<StateSink>, _ exchange: Exchange?) -> Bool {
        guard let to = unsafe handover.to else { return false }
        var next: UnsafeMutableRawPointer?
        if handover.isStateless {
            guard unsafe letGo(isStateless: true, into: sink) else { return false }
        } else {
            guard unsafe to.pointee.handler.restoreConnection != nil, unsafe letGo(isStateless: false, into: sink)
            else { return false }
            var saved = unsafe sink.pointee.saved(by: binding.pointee.generation)
            guard unsafe restore(to, &saved, exchange, &next) else { return false }
        }
        drop()
        unsafe state = unsafe next
        return true
    }

    /// Asks the handler to let go of the connection; that changes nothing as long as it is not dropped.
    ///
    /// - Parameter isStateless: no state goes along.
    /// - Returns: whether it does. What it has saved is in the sink.
    func letGo(isStateless: Bool, into sink: UnsafeMutablePointer<StateSink>) -> Bool {
        unsafe sink.pointee.clear()
        // A handler that keeps nothing is asked for its consent only; what it writes is not looked at.
        if isStateless { return unsafe binding.pointee.handler.saveConnection == nil || save(into: sink) }
        return unsafe save(into: sink) && !sink.pointee.isOverflown
    }

    /// Has a handler take the connection over.
    ///
    /// - Returns: whether it does; `next` is the state then.
    func restore(
        _ to: UnsafeMutablePointer<Binding>, _ saved: inout gw_saved, _ exchange: Exchange?,
        _ next: inout UnsafeMutableRawPointer?
    ) -> Bool {
        guard let restore = unsafe to.pointee.handler.restoreConnection else { return false }
        let isRecovered = unsafe saved.flags & UInt32(GW_SAVED_CHECKPOINT) != 0
        let request = unsafe exchange?.record.markMigrated(isRecovered: isRecovered)
        isRestoring = true
        let status = unsafe enter(to, CLINUX_RESTORE_CONN, namesConnection: true) { id in
            unsafe restore(to.pointee.instance, id, request, &saved, &next)
        }
        isRestoring = false
        return status >= 0
    }

    /// Tells the handler that the connection has gone elsewhere.
    func drop() {
        guard let drop = unsafe binding.pointee.handler.dropConnection else { return }
        unsafe enter(binding, CLINUX_DROP_CONN, namesConnection: true) { id in
            unsafe drop(binding.pointee.instance, id, state)
        }
    }

    /// Whether the handler lets go of the connection.
    private func save(into sink: UnsafeMutablePointer<StateSink>) -> Bool {
        guard let save = unsafe binding.pointee.handler.saveConnection else { return false }
        let status = unsafe enter(binding, CLINUX_SAVE_CONN, namesConnection: true) { id in
            unsafe save(binding.pointee.instance, id, state, OpaquePointer(sink))
        }
        return status >= 0 && isOpen
    }
}
