import Synchronization

/// What a thread of `dispatch pool` goes on with for a while.
enum LaneTask: PoolTask {
    case lane(Lane)
    case serialGroup(SerialGroup)
    case home(HomeLane)

    func run() {
        switch self {
        case .lane(let lane): if lane.run() { lane.server.lanes.requeue(self) }
        case .serialGroup(let serialGroup): serialGroup.run(self)
        case .home(let home): home.run(self)
        }
    }
}

/// The threads that callbacks run on where a route says `dispatch pool`, those of all routes together.
///
/// So many callbacks may block at once; beyond that further ones wait for a thread. They are not those of `offload`, so
/// a callback that waits for its own work to be done does not keep it from being done.
final class LanePool: Sendable {
    static let maximumThreads = 64

    private let threads = ThreadPool<LaneTask>(name: "dispatch", maximumThreads: maximumThreads)
    /// Lanes with something to run, and lanes of [home] likewise: workers do not end before those have.
    let outstanding = Atomic<Int>(0)

    func submit(_ task: LaneTask) { _ = threads.submit(task) }

    /// From its own threads only.
    func requeue(_ task: LaneTask) { threads.requeue(task) }

    func finish() { threads.finish() }
}

/// The lanes of an instance that asks for GW_HF_SERIAL: one after the other, so that those that would have to wait for
/// each other's callbacks take one thread instead of all.
final class SerialGroup: Sendable {
    private struct State {
        var lanes = Fifo<Lane>()
        var isActive = false
    }

    private let state = Mutex(State())

    func add(_ lane: Lane) {
        let wasIdle = state.withLock { state in
            state.lanes.append(lane)
            defer { state.isActive = true }
            return !state.isActive
        }
        if wasIdle { lane.server.lanes.submit(.serialGroup(self)) }
    }

    func run(_ task: LaneTask) {
        guard let lane = state.withLock({ $0.lanes.popFirst() }) else { return }
        let hasMore = lane.run()
        let goesOn = state.withLock { state in
            if hasMore { state.lanes.append(lane) }
            state.isActive = !state.lanes.isEmpty
            return state.isActive
        }
        if goesOn { lane.server.lanes.requeue(task) }
    }
}
