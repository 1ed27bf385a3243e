internal import CGatewayABI
internal import Glibc
internal import Synchronization

/// The tasks of one instance that have outlived their connections, and what a reload means to those that have not.
///
/// While there are some, the gateway must not stop the instance: it is kept from that by a buffer that it is lent. When
/// the whole gateway stops it does so nevertheless, and then whoever stops the instance runs them to their end.
final class Crew: Sendable {
    private struct State {
        /// By connection.
        var stragglers: [gw_conn: SessionLoop] = [:]
        /// The address of the buffer that keeps the generation.
        var anchor: UInt = 0
    }

    private let state = Mutex(State())
    private let draining = Atomic(false)
    private let stopping = Atomic(false)
    /// The address of a semaphore, which lives as long as this: for ever.
    private let bell: UInt

    init() {
        let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        unsafe sem_init(semaphore, 0, 0)
        bell = UInt(bitPattern: semaphore)
    }

    /// A newer generation serves new clients.
    var isDraining: Bool { draining.load(ordering: .relaxed) }
    func drain() { draining.store(true, ordering: .relaxed) }

    /// `stop` of the instance has begun.
    var isStopping: Bool { stopping.load(ordering: .sequentiallyConsistent) }

    /// A connection has ended and its task has not.
    func add(_ loop: SessionLoop, of connection: Connection) {
        let table = unsafe connection.host.table
        state.withLock { state in
            if state.stragglers.isEmpty, let wrap = unsafe table.pointee.buf_wrap {
                // Nothing is ever read from it: it only has to be given back.
                unsafe state.anchor = UInt(bitPattern: wrap(table, table, 1, { _ in }, nil))
            }
            state.stragglers[connection.id] = loop
        }
    }

    /// A task has ended.
    func remove(_ connection: Connection) {
        let table = unsafe connection.host.table
        state.withLock { state in
            guard state.stragglers.removeValue(forKey: connection.id) != nil, state.stragglers.isEmpty else { return }
            unsafe table.pointee.buf_release?(table, OpaquePointer(bitPattern: state.anchor))
            state.anchor = 0
        }
        if isStopping { ring() }
    }

    /// Says that a task can go on, or has ended, while the instance is being stopped.
    func ring() { unsafe _ = UnsafeMutablePointer<sem_t>(bitPattern: bell).map { unsafe sem_post($0) } }

    /// Runs what is left to its end. [control]
    func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        while case let loops = state.withLock({ Array($0.stragglers.values) }), !loops.isEmpty {
            for loop in loops { loop.callback {} }
            if state.withLock({ $0.stragglers.isEmpty }) { return }
            unsafe _ = UnsafeMutablePointer<sem_t>(bitPattern: bell).map { unsafe sem_wait($0) }
        }
    }
}
