import Bytes
import CGatewayABI
import CLinux
import HandlerModules
import Synchronization
import WebSocket

/// What a thread of the pool does for one call.
extension Lane {
    func perform(_ call: PooledCall) {
        switch call {
        case .ask(let held): held.with { ask($0) }
        case .open(let held, let state, let subprotocol): open(held, state, subprotocol)
        case .message(let kind, let flags, let octets, let receivedAt):
            if isWanted { deliver(kind, flags, octets, receivedAt) }
        case .ping(let octets): if isWanted { deliver(octets, CLINUX_PING) }
        case .pong(let octets): if isWanted { deliver(octets, CLINUX_PONG) }
        case .drained: if isWanted { drained() }
        case .error(let status, let what): report(status, what)
        case .event(let event): deliver(event)
        case .move: break
        case .close(let ending): close(ending)
        }
    }

    /// The handler has not closed it.
    private var isWanted: Bool { !isCutOff.load(ordering: .acquiring) }

    var statePointer: UnsafeMutableRawPointer? {
        unsafe UnsafeMutableRawPointer(bitPattern: state.load(ordering: .relaxed))
    }

    /// Calls a handler: while `body` runs the lane is the current one of this thread, no other callback of an instance
    /// that asks for GW_HF_SERIAL runs, and a crash knows whose it is.
    func call<Result>(
        _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback, namesConnection: Bool = true,
        _ body: (gw_conn) -> Result
    ) -> Result {
        let isSerial = unsafe binding.pointee.has(GW_HF_SERIAL)
        if isSerial { unsafe binding.pointee.turnstile.enter() }
        current.store(namesConnection ? id.number : 0, ordering: .relaxed)
        unsafe clinux_set_lane(Unmanaged.passUnretained(self).toOpaque())
        unsafe binding.pointee.site.enter(callback, connection: id.number)
        let result = body(id.number)
        CrashSite.leave()
        clinux_set_lane(nil)
        current.store(0, ordering: .relaxed)
        if isSerial { unsafe binding.pointee.turnstile.leave() }
        return result
    }

    // MARK: Requests

    private func ask(_ exchange: Exchange) {
        let callbacks = unsafe binding.pointee.handler
        let isPlain = exchange.handshake == nil
        let instance = unsafe binding.pointee.instance
        let status = unsafe exchange.body.withUnsafeBytes { body in
            if unsafe !body.isEmpty, let lender = unsafe lender {
                unsafe lender.pointee.lend(body)
                unsafe exchange.record.setBody(body, owner: lender)
            }
            let request = unsafe exchange.record.request
            // There is no connection yet that the handler could name.
            return unsafe call(binding, isPlain ? CLINUX_HTTP : CLINUX_UPGRADE, namesConnection: false) { _ in
                unsafe (isPlain ? callbacks.http : callbacks.upgrade)?(instance, request) ?? Status.unsupported
            }
        }
        port.post(.asked(id, ticket: exchange.ticket, status: status))
    }

    private func open(_ held: HeldExchange, _ state: UInt, _ subprotocol: Range<Int>?) {
        self.state.store(state, ordering: .relaxed)
        if unsafe binding.pointee.has(GW_HF_KEEP_REQUEST) { kept.withLock { $0 = held } }
        held.with { exchange in
            if let subprotocol { exchange.record.setSubprotocol(subprotocol, of: exchange) }
            guard let callback = unsafe binding.pointee.handler.open else { return }
            let (instance, request) = unsafe (binding.pointee.instance, exchange.record.request)
            unsafe call(binding, CLINUX_OPEN) { id in unsafe callback(instance, id, statePointer, request) }
        }
    }

    // MARK: What the peer sent

    private func deliver(_ kind: UInt32, _ flags: UInt32, _ octets: [UInt8], _ receivedAt: UInt64) {
        let callbacks = unsafe binding.pointee.handler
        let isStreaming = unsafe callbacks.fragment != nil
        guard let callback = unsafe callbacks.fragment ?? callbacks.message, let lender = unsafe lender else { return }
        let instance = unsafe binding.pointee.instance
        unsafe octets.withUnsafeBytes { octets in
            unsafe lender.pointee.lend(octets)
            var message = unsafe gw_message()
            unsafe message.struct_size = UInt32(MemoryLayout<gw_message>.size)
            unsafe message.kind = kind
            unsafe message.flags = flags
            unsafe message.data = gw_bytes(octets)
            unsafe message.buf = OpaquePointer(lender)
            unsafe message.received_ns = receivedAt
            unsafe call(binding, isStreaming ? CLINUX_FRAGMENT : CLINUX_MESSAGE) { id in
                unsafe callback(instance, id, statePointer, &message)
            }
        }
    }

    private func deliver(_ octets: [UInt8], _ kind: clinux_callback) {
        let callbacks = unsafe binding.pointee.handler
        guard let callback = unsafe kind == CLINUX_PING ? callbacks.ping : callbacks.pong else { return }
        let instance = unsafe binding.pointee.instance
        unsafe octets.withUnsafeBytes { octets in
            unsafe call(binding, kind) { id in unsafe callback(instance, id, statePointer, gw_bytes(octets)) }
        }
    }

    // MARK: What else it hears

    private func drained() {
        guard let callback = unsafe binding.pointee.handler.drained else { return }
        let instance = unsafe binding.pointee.instance
        unsafe call(binding, CLINUX_DRAINED) { id in unsafe callback(instance, id, statePointer) }
    }

    private func report(_ status: gw_status, _ what: String) {
        guard let callback = unsafe binding.pointee.handler.error else { return }
        let instance = unsafe binding.pointee.instance
        var what = what
        what.withUTF8 { text in
            let view = unsafe gw_str(
                ptr: UnsafeRawPointer(text.baseAddress)?.assumingMemoryBound(to: CChar.self), len: text.count)
            unsafe call(binding, CLINUX_ERROR) { id in unsafe callback(instance, id, statePointer, status, view) }
        }
    }

    private func deliver(_ event: LaterEvent) {
        switch event.kind {
        // It counts until now, so that one that was cancelled meanwhile does not go off.
        case .timer(let number): guard port.timers.fire(number) != nil, isWanted else { return event.finish(server) }
        case .post: guard isWanted else { return event.finish(server) }
        case .workDone:
            // The pointer of a job is its own instance's, and its end is never dropped.
            guard isWanted, unsafe binding.pointee.instanceID == event.record.instance.id else {
                return server.ports[event.record.home].post(.event(event.atHome))
            }
        }
        if let callback = unsafe binding.pointee.handler.event {
            let instance = unsafe binding.pointee.instance
            unsafe event.lend { lent in
                unsafe call(binding, CLINUX_EVENT) { id in unsafe callback(instance, id, statePointer, lent) }
            }
        }
        event.finish(server)
    }

    private func close(_ ending: Ending) {
        guard let callback = unsafe binding.pointee.handler.close else { return }
        let instance = unsafe binding.pointee.instance
        unsafe ending.lend { close in
            unsafe call(binding, CLINUX_CLOSE) { id in unsafe callback(instance, id, statePointer, close) }
        }
    }
}
