import Synchronization

/// Events for [home] of an instance whose callbacks run on the pool, one after the other.
final class HomeQueue: Sendable {
    /// So many events at a time, then others have their turn.
    private static let batch = 32

    private struct Entry {
        let event: HandlerEvent
        let server: ServerContext
    }

    private struct State {
        var entries = Fifo<Entry>()
        var isActive = false
    }

    private let state = Mutex(State())

    func add(_ event: HandlerEvent, _ server: ServerContext) {
        let wasIdle = state.withLock { state in
            state.entries.append(Entry(event: event, server: server))
            defer { state.isActive = true }
            return !state.isActive
        }
        guard wasIdle else { return }
        server.dispatchPool.outstanding.add(1, ordering: .relaxed)
        server.dispatchPool.submit(.home(self))
    }

    func run(_ task: DispatchTask) {
        for _ in 0..<Self.batch {
            guard let entry = state.withLock({ $0.entries.popFirst() }) else { return }
            call(entry.event, entry.server)
            let isLast = state.withLock { state in
                if state.entries.isEmpty { state.isActive = false }
                return !state.isActive
            }
            if isLast {
                entry.server.dispatchPool.outstanding.subtract(1, ordering: .releasing)
                return
            }
        }
        guard let next = state.withLock({ $0.entries.first }) else { return }
        next.server.dispatchPool.requeue(task)
    }

    private func call(_ event: HandlerEvent, _ server: ServerContext) {
        // A timer counts until now, so that one that was cancelled meanwhile does not go off.
        if case .timer(let number) = event.kind, server.ports[event.instanceContext.home].timers.fire(number) == nil {
            return
        }
        unsafe event.withView { unsafe event.instanceContext.call($0) }
        event.finish(server)
    }
}
