import CGatewayABI
import Synchronization

/// Something a handler asked for earlier, on its way back to it as event().
///
/// It carries a token and no code: the table that is current when it arrives is called (R5).
struct HandlerEvent: Sendable {
    enum Kind: Sendable {
        case timer(UInt64)
        case post([UInt8])
        /// What work() was given and answered.
        case workDone(pointer: UInt, status: gw_status)
        /// Members of a topic may have missed something; of any topic where it has no name.
        case gap([UInt8])
    }

    /// The instance that asked; the one that is called for [home].
    let instanceContext: InstanceContext
    /// 0 for [home].
    var connection: UInt64
    let token: UInt64
    let kind: Kind

    /// Its timer counts until it is delivered.
    var isTimer: Bool { if case .timer = kind { true } else { false } }

    /// What it counts against the bytes that may wait for a worker.
    var weight: Int {
        switch kind {
        case .post(let payload): payload.count + 128
        case .timer, .workDone, .gap: 0
        }
    }

    /// The same for [home].
    var atHome: HandlerEvent {
        var event = self
        event.connection = 0
        return event
    }

    /// The event was delivered, or dropped: the stop of an instance need not wait for it any more.
    func finish(_ server: ServerContext) {
        switch kind {
        case .timer: break
        case .post:
            let worker = connection == 0 ? instanceContext.home : ConnectionID(connection).worker
            server.ports[worker].postedBytes.subtract(weight, ordering: .relaxed)
            if connection == 0 { instanceContext.pending.subtract(1, ordering: .releasing) }
        case .gap:
            instanceContext.gaps.subtract(1, ordering: .relaxed)
            instanceContext.pending.subtract(1, ordering: .releasing)
        case .workDone:
            instanceContext.pending.subtract(1, ordering: .releasing)
            server.jobs.outstanding.subtract(1, ordering: .releasing)
        }
    }

    /// Makes the event as handlers see it, for the length of `body`.
    func withView(_ body: (UnsafePointer<gw_event>) -> Void) {
        var event = unsafe gw_event()
        unsafe event.struct_size = UInt32(MemoryLayout<gw_event>.size)
        unsafe event.token = token
        switch kind {
        case .timer(let number):
            unsafe event.kind = UInt32(GW_EV_TIMER)
            unsafe event.timer = number
            unsafe body(&event)
        case .workDone(let pointer, let status):
            unsafe event.kind = UInt32(GW_EV_WORK_DONE)
            unsafe event.ptr = unsafe UnsafeMutableRawPointer(bitPattern: pointer)
            unsafe event.status = status
            unsafe body(&event)
        case .post(let payload), .gap(let payload):
            if case .gap = kind {
                unsafe event.kind = UInt32(GW_EV_GAP)
            } else {
                unsafe event.kind = UInt32(GW_EV_POST)
            }
            unsafe payload.withUnsafeBytes { bytes in
                unsafe event.data = gw_bytes(bytes)
                unsafe body(&event)
            }
        }
    }
}
