import CGatewayABI
import CLinux
import GatewayIO
import HandlerModules
import Synchronization

extension Worker {
    /// What callbacks of this thread posted; what those post in turn waits for the next turn.
    func runPendingEvents() {
        if pendingEvents.isEmpty { return }
        var events: [HandlerEvent] = []
        swap(&events, &pendingEvents)
        for event in events { deliver(event) }
        events.removeAll(keepingCapacity: true)
        if pendingEvents.isEmpty { swap(&events, &pendingEvents) }
    }

    /// Timers that are due.
    func fireTimers() {
        while port.timers.nextDue <= nowNanoseconds,
            let (number, timer, isDue) = port.timers.takeDue(until: nowNanoseconds, waits: { isPooled($0) })
        {
            guard isDue else { continue }
            deliver(
                HandlerEvent(
                    record: timer.record, connection: timer.connection, token: timer.token, kind: .timer(number)))
        }
    }

    private func isPooled(_ timer: TimerRegistry.Timer) -> Bool {
        if timer.connection == 0 { return timer.record.isPooled }
        let id = ConnectionID(timer.connection)
        return table.find(slot: id.slot, serial: id.serial)?.pointee.rareState?.lane != nil
    }

    /// Milliseconds to the next timer; nil when there is none.
    var timerPatience: Int32? {
        let due = port.timers.nextDue
        if due == .max { return nil }
        let now = Clock.monotonicNanoseconds()
        if due <= now { return 0 }
        return Int32(clamping: (due - now + 999_999) / 1_000_000)
    }

    /// Calls event() on [conn] or [home].
    func deliver(_ event: HandlerEvent) {
        var event = event
        if event.connection != 0 {
            let peer = hearer(of: event)
            let isDone = peer.map { run($0, .event(event)) }
            // From here on it is the lane, if there is one, that keeps the connection where it is.
            if case .workDone = event.kind {
                port.sharedTable[ConnectionID(event.connection).slot].jobs.subtract(1, ordering: .releasing)
            }
            if let isDone {
                if isDone { event.finish(server) }
                return
            }
            // A timer or a post of a connection that has ended is dropped, the end of a job never.
            guard case .workDone = event.kind else { return event.finish(server) }
            event.connection = 0
        }
        if event.record.home != Int(port.index) { return server.ports[event.record.home].post(.event(event)) }
        deliverToHome(event)
    }

    /// The connection that an event is for; nil when it has ended.
    private func hearer(of event: HandlerEvent) -> ConnectionPointer? {
        let id = ConnectionID(event.connection)
        guard let peer = table.find(slot: id.slot, serial: id.serial), peer.pointee.phase == .open,
            peer.pointee.flags.contains(.opened), let binding = unsafe peer.pointee.binding
        else { return nil }
        // The pointer of a job is its own instance's.
        if case .workDone = event.kind, unsafe binding.pointee.instanceID != event.record.instance.id { return nil }
        return peer
    }

    private func deliverToHome(_ event: HandlerEvent) {
        if !event.record.isOpen.load(ordering: .acquiring), !event.record.hasStopped {
            unopened[event.record.instance.id, default: []].append(event)
            return
        }
        if event.record.isPooled { return event.record.homeLane.add(event, server) }
        unsafe event.lend { unsafe event.record.call($0) }
        event.finish(server)
    }

    /// What came while `start` was running.
    func openHome(_ record: InstanceContext) {
        for event in unopened.removeValue(forKey: record.instance.id) ?? [] { deliverToHome(event) }
    }
}
