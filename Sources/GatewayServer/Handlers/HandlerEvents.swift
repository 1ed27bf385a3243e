import CGatewayABI
import CLinux
import HandlerModules
import Synchronization

/// What handlers asked to hear later: posts, timers and the ends of jobs, on their connection or at the home of their
/// instance.
final class HandlerEvents {
    /// Events that callbacks of this thread asked for.
    private var pending: [HandlerEvent] = []
    /// Events for [home] of instances whose `start` has not returned.
    private var unopened: [UInt64: [HandlerEvent]] = [:]
    /// The instance that was asked for last.
    var recentInstance: InstanceContext?

    var isEmpty: Bool { pending.isEmpty }

    /// Whether an event for a connection waits.
    func hasPending(for connection: UInt64) -> Bool { pending.contains { $0.connection == connection } }

    /// Takes an event of this thread, which hears of it when no callback runs.
    func append(_ event: HandlerEvent) { pending.append(event) }

    /// What callbacks of this thread posted; what those post in turn waits for the next turn.
    func runPending(on worker: Worker) {
        if pending.isEmpty { return }
        var events: [HandlerEvent] = []
        swap(&events, &pending)
        for event in events {
            deliver(event, on: worker)
            worker.ledger?.settle(on: worker)
        }
        events.removeAll(keepingCapacity: true)
        if pending.isEmpty { swap(&events, &pending) }
    }

    /// Timers that are due.
    func fireTimers(on worker: Worker) {
        while worker.port.timers.nextDue <= worker.nowNanoseconds,
            let (number, timer, isDue) = worker.port.timers.takeDue(
                until: worker.nowNanoseconds, waits: { isPooled($0, on: worker) })
        {
            guard isDue else { continue }
            deliver(
                HandlerEvent(
                    instanceContext: timer.instanceContext, connection: timer.connection, token: timer.token,
                    kind: .timer(number)),
                on: worker)
            worker.ledger?.settle(on: worker)
        }
    }

    private func isPooled(_ timer: TimerRegistry.Timer, on worker: Worker) -> Bool {
        if timer.connection == 0 { return timer.instanceContext.isPooled }
        let id = ConnectionID(timer.connection)
        return worker.table.find(slot: id.slot, serial: id.serial)?.pointee.rareState?.callbacks != nil
    }

    /// Milliseconds to the next timer; nil when there is none.
    func timerPatience(on worker: Worker) -> Int32? {
        let due = worker.port.timers.nextDue
        if due == .max { return nil }
        let now = worker.clock()
        if due <= now { return 0 }
        return Int32(clamping: (due - now + 999_999) / 1_000_000)
    }

    /// Calls event() on [conn] or [home].
    func deliver(_ event: HandlerEvent, on worker: Worker) {
        var event = event
        if event.connection != 0 {
            let peer = hearer(of: event, on: worker)
            if let ledger = worker.ledger, let peer {
                ledger.begin(peer)
                ledger.noteCall(peer, on: worker)
            }
            let isDone = peer.map { worker.run($0, .event(event)) }
            // From here on it is the callback queue, if there is one, that keeps the connection where it is.
            if case .workDone = event.kind {
                worker.port.sharedTable[ConnectionID(event.connection).slot].jobs.subtract(1, ordering: .releasing)
            }
            if let isDone {
                if isDone { event.finish(worker.server) }
                return
            }
            if case .post(let payload) = event.kind {
                worker.passOn(ConnectionID(event.connection), .post(token: event.token), payload)
            }
            // A timer or a post of a connection that has ended is dropped, the end of a job never.
            guard case .workDone = event.kind else { return event.finish(worker.server) }
            event.connection = 0
        }
        if event.instanceContext.home != Int(worker.port.index) {
            return worker.server.ports[event.instanceContext.home].post(.event(event))
        }
        deliverToHome(event, on: worker)
    }

    /// The connection that an event is for; nil when it has ended.
    private func hearer(of event: HandlerEvent, on worker: Worker) -> ConnectionPointer? {
        let id = ConnectionID(event.connection)
        guard let peer = worker.table.find(slot: id.slot, serial: id.serial), peer.pointee.phase == .open,
            peer.pointee.flags.contains(.opened), let binding = unsafe peer.pointee.binding
        else { return nil }
        // The pointer of a job is its own instance's.
        if case .workDone = event.kind, unsafe binding.pointee.instanceID != event.instanceContext.instance.id {
            return nil
        }
        return peer
    }

    private func deliverToHome(_ event: HandlerEvent, on worker: Worker) {
        if !event.instanceContext.isOpen.load(ordering: .acquiring), !event.instanceContext.hasStopped {
            unopened[event.instanceContext.instance.id, default: []].append(event)
            return
        }
        if event.instanceContext.isPooled { return event.instanceContext.homeQueue.add(event, worker.server) }
        unsafe event.withView { unsafe event.instanceContext.call($0) }
        event.finish(worker.server)
    }

    /// What came while `start` was running.
    func openHome(_ instanceContext: InstanceContext, on worker: Worker) {
        for event in unopened.removeValue(forKey: instanceContext.instance.id) ?? [] {
            deliverToHome(event, on: worker)
        }
    }
}
