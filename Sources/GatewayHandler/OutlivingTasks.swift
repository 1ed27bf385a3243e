internal import CGatewayABI
internal import Glibc
internal import Synchronization

/// The tasks of one instance that have outlived their connections, and what a reload means to those that have not.
///
/// While there are some, the instance is held, so that the gateway does not stop it. When the whole gateway ends it does
/// so nevertheless, and then `stop` runs them to their end.
final class OutlivingTasks: Sendable {
    private struct State {
        /// By connection.
        var executors: [gw_conn: SessionExecutor] = [:]
        /// Of the instance; nil while there are none.
        var hold: Hold?
    }

    private let state = Mutex(State())
    private let draining = Atomic(false)
    private let stopping = Atomic(false)
    /// The address of a semaphore, which lives as long as this: for ever.
    private let semaphore: UInt

    init() {
        let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        unsafe sem_init(semaphore, 0, 0)
        self.semaphore = UInt(bitPattern: semaphore)
    }

    /// A newer generation serves new clients.
    var isDraining: Bool { draining.load(ordering: .relaxed) }
    func drain() { draining.store(true, ordering: .relaxed) }

    /// `stop` of the instance has begun.
    var isStopping: Bool { stopping.load(ordering: .sequentiallyConsistent) }

    /// A connection has ended and its task has not.
    func add(_ executor: SessionExecutor, of connection: Connection) {
        state.withLock { state in
            if state.hold == nil { state.hold = Hold(connection.host) }
            state.executors[connection.id] = executor
        }
    }

    /// A task has ended.
    func remove(_ connection: Connection) {
        state.withLock { state in
            guard state.executors.removeValue(forKey: connection.id) != nil, state.executors.isEmpty else { return }
            state.hold = nil
        }
        if isStopping { signal() }
    }

    /// Says that a task can go on, or has ended, while the instance is being stopped.
    func signal() { unsafe _ = UnsafeMutablePointer<sem_t>(bitPattern: semaphore).map { unsafe sem_post($0) } }

    /// Runs what is left to its end. [control]
    func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        while case let executors = state.withLock({ Array($0.executors.values) }), !executors.isEmpty {
            for executor in executors { executor.callback {} }
            if state.withLock({ $0.executors.isEmpty }) { return }
            unsafe _ = UnsafeMutablePointer<sem_t>(bitPattern: semaphore).map { unsafe sem_wait($0) }
        }
    }
}
