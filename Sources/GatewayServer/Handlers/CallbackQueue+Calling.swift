import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import HandlerModules
import Synchronization

/// What a thread of the pool does for one call.
extension CallbackQueue {
    func perform(_ call: HandlerCall<[UInt8]>) {
        switch call {
        case .message, .ping, .pong, .drained: if isWanted { call.perform(on: self) }
        case .error, .close: if !isUnknown.load(ordering: .relaxed) { call.perform(on: self) }
        case .open(let exchange, _):
            if unsafe binding.pointee.has(GW_HF_KEEP_REQUEST) { kept.withLock { $0 = exchange } }
            call.perform(on: self)
        case .ask(let exchange):
            let status = call.perform(on: self)
            port.post(.asked(id, ticket: exchange.with { $0.ticket }, status: status))
        case .event(let event): deliver(event)
        }
    }

    /// The handler has not closed the connection.
    private var isWanted: Bool { !isCutOff.load(ordering: .acquiring) }

    private func deliver(_ event: HandlerEvent) {
        switch event.kind {
        // A timer counts until now, so that one that was cancelled meanwhile does not go off.
        case .timer(let number): guard port.timers.fire(number) != nil, isWanted else { return event.finish(server) }
        case .post, .gap: guard isWanted else { return event.finish(server) }
        case .workDone:
            // The pointer of a job is its own instance's, and its end is never dropped.
            guard isWanted, unsafe binding.pointee.instanceID == event.instanceContext.instance.id else {
                return server.ports[event.instanceContext.home].post(.event(event.atHome))
            }
        }
        self.event(event)
        event.finish(server)
    }

    /// Hands the connection to another instance, if both agree. The callback queue then rests until the worker has seen
    /// to that: the worker and the calls behind this one then mean the same instance.
    func move(_ handover: Handover) {
        let sink = UnsafeMutablePointer<StateSink>.allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
        let isMoved: Bool
        if let kept = kept.withLock({ $0 }) {
            isMoved = kept.with { unsafe self.handover(handover, into: sink, $0) }
        } else {
            isMoved = unsafe self.handover(handover, into: sink, nil)
        }
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
        if let to = unsafe handover.to {
            if isMoved {
                unsafe rebind(to: to)
            } else {
                unsafe to.pointee.instanceContext.callbackQueues.subtract(1, ordering: .releasing)
            }
        }
        port.post(.poolMoved(self, handover, isMoved))
    }

    /// Asks the handler to let go of the connection; the callback queue then rests until the worker has sent that to
    /// another process, or has kept it.
    func save(for transfer: ConnectionTransfer, isStateless: Bool) {
        let sink = UnsafeMutablePointer<StateSink>.allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
        let letsGo = unsafe letGo(isStateless: isStateless, into: sink)
        let state = isStateless ? nil : unsafe sink.pointee.record(by: binding.pointee.generation)
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
        port.post(.poolSaved(self, transfer, letsGo, state))
    }

    /// Has the handler take the connection over from another process.
    func restore(_ saved: StateRecord) {
        var next: UnsafeMutableRawPointer?
        let isRestored = unsafe saved.withView { view in
            guard let kept = kept.withLock({ $0 }) else { return unsafe restore(binding, &view, nil, &next) }
            return kept.with { unsafe restore(binding, &view, $0, &next) }
        }
        if isRestored {
            unsafe state = unsafe next
        } else {
            isUnknown.store(true, ordering: .relaxed)
            isCutOff.store(true, ordering: .releasing)
        }
        port.post(.poolRestored(self, isRestored))
    }
}

extension CallbackQueue: CallbackRunner {
    var state: UnsafeMutableRawPointer? {
        get { unsafe UnsafeMutableRawPointer(bitPattern: stateAddress.load(ordering: .relaxed)) }
        set { stateAddress.store(UInt(bitPattern: newValue), ordering: .relaxed) }
    }

    var isRestoring: Bool {
        get { restores.load(ordering: .relaxed) }
        set { restores.store(newValue, ordering: .relaxed) }
    }

    var isOpen: Bool { isWanted }

    func enter<Result>(
        _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback, namesConnection: Bool,
        _ body: (gw_conn) -> Result
    ) -> Result {
        let isSerial = unsafe binding.pointee.has(GW_HF_SERIAL)
        if isSerial { unsafe binding.pointee.serialLock.enter() }
        current.store(namesConnection ? id.number : 0, ordering: .relaxed)
        unsafe clinux_set_callback_queue(Unmanaged.passUnretained(self).toOpaque())
        unsafe binding.pointee.site.enter(callback, connection: id.number)
        let began = Clock.monotonicNanoseconds()
        let result = body(id.number)
        unsafe binding.pointee.instanceContext.counters.pool.observeAmongOthers(
            callback, nanoseconds: Clock.monotonicNanoseconds() &- began)
        CrashSite.leave()
        clinux_set_callback_queue(nil)
        current.store(0, ordering: .relaxed)
        if isSerial { unsafe binding.pointee.serialLock.leave() }
        return result
    }

    /// Bytes that wait for the pool are copies in any case.
    func borrow(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer { unsafe bytes }
    func takeBack(_ bytes: UnsafeRawBufferPointer) {}
}
