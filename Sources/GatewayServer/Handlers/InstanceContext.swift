import CGatewayABI
import CLinux
import GatewayIO
import HandlerModules
import Synchronization

/// What host functions know of an instance by its number: its handler, the route it serves, the worker of its [home].
///
/// Made before `start`, since host functions may be called with its number from inside `start`. Any thread may ask it.
final class InstanceContext: Sendable {
    let instance: Instance
    /// Number of the handler file.
    let module: UInt32
    /// The name of its route: the scope of its topics.
    let scope: String
    /// The handler is watched (`ContractChecker`).
    let isWatched: Bool
    /// The worker that calls it for [home].
    let home: Int
    /// Where it is in a process of its own: the way there. Nothing here calls it.
    let isolated: IsolatedPort?
    /// For instances that ask for GW_HF_SERIAL.
    let serialLock = SerialLock()
    /// The same for callback queues, which wait there without a thread.
    let serialGroup = SerialGroup()
    /// Events for [home] run on the pool.
    let isPooled: Bool
    let homeQueue = HomeQueue()
    /// Callback queues whose calls are its: as long as there are some it is not stopped.
    let callbackQueues = Atomic<Int>(0)
    /// Events for [home] and jobs that have not come back; as long as there are some it is not stopped.
    let pending = Atomic<Int>(0)
    /// Events that tell of a gap and have not come back.
    let gaps = Atomic<Int>(0)
    /// `start` has succeeded: [home] may be called.
    let isOpen = Atomic<Bool>(false)
    /// The instance serves no new connections: no timer of [home] starts any more.
    let isRetiring = Atomic<Bool>(false)
    /// The address of `retained`.
    private let retainedAddress: UInt
    /// Bytes of received messages that an instance may keep; beyond it `buf_retain` answers NULL.
    static let mostRetained = 64 << 20
    /// What is counted of its connections.
    let counters: InstanceCounters
    /// Serializes [home] with the control thread's own events; `stop` of the handler is called behind it.
    private let gate = SerialLock()
    /// Jobs that wait or run.
    private let jobs = Atomic<Int>(0)
    private let isStopped = Atomic<Bool>(false)
    /// How often its handler holds it, and `unholdable` once its stop is on its way. One word, so that the last release
    /// and a new hold cannot miss each other.
    private let holds = Atomic<Int>(0)
    private static let unholdable = Int.min

    init(
        _ instance: Instance, module: UInt32, scope: String, workers: Int, isPooled: Bool, isWatched: Bool,
        counters: InstanceCounters, isolated: IsolatedPort? = nil
    ) {
        self.isolated = isolated
        self.counters = counters
        self.isPooled = isPooled
        self.instance = instance
        self.isWatched = isWatched
        self.module = module
        self.scope = scope
        let retained = UnsafeMutablePointer<Atomic<Int>>.allocate(capacity: 1)
        unsafe retained.initialize(to: Atomic(0))
        retainedAddress = UInt(bitPattern: retained)
        home = Int(truncatingIfNeeded: instance.id % UInt64(max(1, workers)))
    }

    /// Bytes of received messages that it keeps; never freed, since a buffer may be released at any time.
    var retained: UnsafeMutablePointer<Atomic<Int>>? { unsafe UnsafeMutablePointer(bitPattern: retainedAddress) }

    /// A job of it is about to be queued; false when it has been stopped.
    func beginJob() -> Bool {
        jobs.add(1, ordering: .sequentiallyConsistent)
        // The thread that stops it looks for jobs after it has said so: one of the two sees the other.
        if !isStopped.load(ordering: .sequentiallyConsistent) { return true }
        jobEnded()
        return false
    }

    func jobEnded() { jobs.subtract(1, ordering: .sequentiallyConsistent) }

    var hasJobs: Bool { jobs.load(ordering: .sequentiallyConsistent) > 0 }

    /// Nothing is begun on [home] from here on; a call that runs goes on.
    func stop() { isStopped.store(true, ordering: .sequentiallyConsistent) }

    /// Returns when no call on [home] runs, which may be never.
    func waitForCalls() {
        gate.enter()
        gate.leave()
    }

    /// Keeps it from being stopped; false when that is on its way.
    func hold() -> Bool {
        if holds.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue >= 0 { return true }
        holds.wrappingSubtract(1, ordering: .releasing)
        return false
    }

    /// Ends one hold; false when there is none.
    func release() -> Bool {
        var count = holds.load(ordering: .relaxed)
        while count > 0 {
            let (isDone, found) = holds.compareExchange(
                expected: count, desired: count - 1, ordering: .acquiringAndReleasing)
            if isDone { return true }
            count = found
        }
        return false
    }

    /// Whether nothing holds it, and so nothing will from here on.
    func endHolds() -> Bool {
        let (isDone, found) = holds.compareExchange(
            expected: 0, desired: Self.unholdable, ordering: .acquiringAndReleasing)
        return isDone || found < 0
    }

    var hasStopped: Bool { isStopped.load(ordering: .acquiring) }

    /// Calls `event` on [home]; nothing once it was stopped, or when the handler has no `event`.
    func call(_ event: UnsafePointer<gw_event>) {
        guard let callback = unsafe instance.generation.callbacks.event else { return }
        gate.enter()
        defer { gate.leave() }
        if hasStopped { return }
        let isSerial = instance.generation.has(GW_HF_SERIAL)
        if isSerial { serialLock.enter() }
        instance.crashSite.enter(CLINUX_EVENT)
        unsafe callback(instance.selfPointer, 0, nil, event)
        CrashSite.leave()
        if isSerial { serialLock.leave() }
    }
}

/// The instances that live, by number.
final class InstanceDirectory: Sendable {
    private struct State {
        var records: [UInt64: InstanceContext] = [:]
        var highest: UInt64 = 0
    }

    /// What a number given by a handler means.
    enum Finding {
        case found(InstanceContext)
        case refused(gw_status)
    }

    private let state = Mutex(State())

    func add(_ instanceContext: InstanceContext) {
        state.withLock { state in
            state.records[instanceContext.instance.id] = instanceContext
            state.highest = max(state.highest, instanceContext.instance.id)
        }
    }

    func remove(_ id: UInt64) -> InstanceContext? { state.withLock { $0.records.removeValue(forKey: id) } }

    /// What is written of a handler's log, instance by instance.
    func logLevels(ofModule module: UInt32) -> [UInt32] {
        state.withLock { state in
            state.records.values.filter { $0.module == module }.map { $0.instance.crashSite.logLevel }
        }
    }

    /// Those of a route; of all routes where it is empty.
    func contexts(in scope: String) -> [InstanceContext] {
        state.withLock { state in state.records.values.filter { scope.isEmpty || $0.scope == scope } }
    }

    func context(_ id: UInt64) -> InstanceContext? { state.withLock { $0.records[id] } }

    /// The header: a wrong number answers GW_E_NOTFOUND, a stopped one GW_E_RETIRED.
    func find(_ id: UInt64, module: UInt32) -> Finding {
        state.withLock { state in
            guard let instanceContext = state.records[id] else {
                return .refused(id > 0 && id <= state.highest ? Status.retired : Status.notFound)
            }
            return instanceContext.module == module ? .found(instanceContext) : .refused(Status.notFound)
        }
    }
}

extension HostContext {
    /// The instance of this handler that a number means.
    func find(instance: gw_instance) -> InstanceDirectory.Finding {
        if isRetired.load(ordering: .acquiring) { return .refused(Status.retired) }
        let known: InstanceContext?? = unsafe HostFunctions.onWorker { worker in
            guard let instanceContext = worker.events.recentInstance, instanceContext.instance.id == instance,
                instanceContext.module == module,
                !instanceContext.hasStopped
            else { return nil }
            return instanceContext
        }
        if let known, let known { return .found(known) }
        let finding = server.instances.find(instance, module: module)
        if case .found(let instanceContext) = finding {
            unsafe HostFunctions.onWorker { $0.events.recentInstance = instanceContext }
        }
        return finding
    }
}
