import Synchronization

/// What a thread of `dispatch pool` goes on with for a while.
enum DispatchTask: PoolTask {
    case queue(CallbackQueue)
    case serialGroup(SerialGroup)
    case home(HomeQueue)

    func run() {
        switch self {
        case .queue(let callbacks): if callbacks.run() { callbacks.server.dispatchPool.requeue(self) }
        case .serialGroup(let serialGroup): serialGroup.run(self)
        case .home(let home): home.run(self)
        }
    }
}

/// The threads that callbacks run on where a route says `dispatch pool`, those of all routes together.
///
/// So many callbacks may block at once; beyond that further ones wait for a thread. They are not those of `offload`, so
/// a callback that waits for its own work to be done does not keep it from being done.
final class DispatchPool: Sendable {
    static let maximumThreads = 64

    private let threads = ThreadPool<DispatchTask>(name: "dispatch", maximumThreads: maximumThreads)
    /// Callback queues and home queues with something to run: workers do not end before those have.
    let outstanding = Atomic<Int>(0)

    func submit(_ task: DispatchTask) { _ = threads.submit(task) }

    /// From its own threads only.
    func requeue(_ task: DispatchTask) { threads.requeue(task) }

    func finish() { threads.finish() }
}

/// The callback queues of an instance that asks for GW_HF_SERIAL: one after the other, so that those that would have to
/// wait for each other's callbacks take one thread instead of all.
final class SerialGroup: Sendable {
    private struct State {
        var queues = Fifo<CallbackQueue>()
        var isActive = false
    }

    private let state = Mutex(State())

    func add(_ callbacks: CallbackQueue) {
        let wasIdle = state.withLock { state in
            state.queues.append(callbacks)
            defer { state.isActive = true }
            return !state.isActive
        }
        if wasIdle { callbacks.server.dispatchPool.submit(.serialGroup(self)) }
    }

    func run(_ task: DispatchTask) {
        guard let callbacks = state.withLock({ $0.queues.popFirst() }) else { return }
        let hasMore = callbacks.run()
        let goesOn = state.withLock { state in
            if hasMore { state.queues.append(callbacks) }
            state.isActive = !state.queues.isEmpty
            return state.isActive
        }
        if goesOn { callbacks.server.dispatchPool.requeue(task) }
    }
}
