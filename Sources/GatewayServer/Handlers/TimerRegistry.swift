import HandlerModules
import Synchronization

/// The timers that handlers have started with one worker: what each is for, and whether it still counts.
///
/// Any thread starts and cancels; the worker takes out what is due. A timer that was cancelled does not go off any
/// more, whichever thread cancelled it, and its place in the queue is given back long before it would have been due.
final class TimerRegistry: Sendable {
    /// How many timers a connection, or [home] of an instance, may have.
    static let maximumPerOwner = 1024

    enum Owner: Hashable, Sendable {
        case connection(UInt64)
        /// An instance.
        case home(UInt64)
    }

    struct Timer: Sendable {
        let instanceContext: InstanceContext
        /// 0 for [home].
        let connection: UInt64
        let token: UInt64
        /// Nanoseconds; 0 for once.
        let interval: UInt64
        /// Nanoseconds of the monotonic clock.
        var due: UInt64 = 0

        var owner: Owner { connection == 0 ? .home(instanceContext.instance.id) : .connection(connection) }
    }

    private struct State {
        var timers: [UInt64: Timer] = [:]
        var owners: [Owner: Set<UInt64>] = [:]
        /// Timers that are due and wait for a thread.
        var queued: Set<UInt64> = []
        var last: UInt64 = 0
        var schedule = TimerSchedule()

        mutating func remove(_ number: UInt64) -> Timer? {
            guard let timer = timers.removeValue(forKey: number) else { return nil }
            queued.remove(number)
            owners[timer.owner]?.remove(number)
            if owners[timer.owner]?.isEmpty ?? false { owners[timer.owner] = nil }
            return timer
        }

        /// Entries of timers that have ended go when they are most of the schedule: that costs each of them little, and
        /// keeps memory by the timers that live instead of by those that were ever cancelled.
        mutating func forgetEnded() {
            guard schedule.count > Self.slack, schedule.count > 2 * timers.count else { return }
            schedule.removeAll { timers[$0] == nil }
        }

        private static let slack = 64
        static let mostNumbers: UInt64 = 1 << 56 - 1

        mutating func nextNumber(_ worker: UInt8) -> UInt64 {
            last = (last &+ 1) & Self.mostNumbers
            return UInt64(worker) << 56 | last
        }
    }

    private let state = Mutex(State())
    /// Lets connections without timers end without a lock.
    private let count = Atomic<Int>(0)
    private let earliest = Atomic<UInt64>(.max)
    private let worker: UInt8
    private let changes: ConnectionChanges

    /// - Parameter changes: hears whose timers are others than before.
    init(worker: UInt8, changes: ConnectionChanges = ConnectionChanges()) {
        (self.worker, self.changes) = (worker, changes)
    }

    /// The worker of a timer's number.
    static func worker(of number: UInt64) -> Int { Int(number >> 56) }

    /// When a timer may be due next, in nanoseconds; `.max` when there is none.
    var nextDue: UInt64 { earliest.load(ordering: .acquiring) }

    /// Any thread.
    ///
    /// - Parameter due: nanoseconds of the monotonic clock.
    /// - Returns: its number, and whether it is due before all others; nil when its owner has too many.
    func add(_ timer: Timer, due: UInt64) -> (number: UInt64, isNext: Bool)? {
        state.withLock { state in
            guard state.owners[timer.owner, default: []].count < Self.maximumPerOwner else { return nil }
            let number = state.nextNumber(worker)
            insert(timer, as: number, due: due, &state)
            return (number, state.schedule.first?.number == number)
        }
    }

    private func insert(_ timer: Timer, as number: UInt64, due: UInt64, _ state: inout State) {
        var timer = timer
        timer.due = due
        state.timers[number] = timer
        state.owners[timer.owner, default: []].insert(number)
        state.schedule.insert(number, at: due)
        count.add(1, ordering: .relaxed)
        changes.note(timer.connection)
        publish(&state)
    }

    /// The worker: the next timer that is due, taken out, and whether to call for it. One that repeats goes back in;
    /// one that `waits` for a thread counts until it `fire`s there, and is called for once at a time.
    func takeDue(
        until now: UInt64, waits: (Timer) -> Bool
    ) -> (number: UInt64, timer: Timer, isDue: Bool)? {
        state.withLock { state in
            defer { publish(&state) }
            while let entry = state.schedule.popFirst(until: now) {
                guard let timer = state.timers[entry.number] else { continue }
                if timer.interval > 0 {
                    // A timer that came late does not make up for what it missed.
                    let next = max(entry.due &+ timer.interval, now &+ 1_000_000)
                    state.timers[entry.number]?.due = next
                    state.schedule.insert(entry.number, at: next)
                }
                if waits(timer) { return (entry.number, timer, state.queued.insert(entry.number).inserted) }
                changes.note(timer.connection)
                if timer.interval == 0, state.remove(entry.number) != nil { count.subtract(1, ordering: .relaxed) }
                return (entry.number, timer, true)
            }
            return nil
        }
    }

    /// Any thread: the event of a timer that waited for a thread runs now; nil when it does not count any more.
    func fire(_ number: UInt64) -> Timer? {
        state.withLock { state in
            guard let timer = state.timers[number] else { return nil }
            state.queued.remove(number)
            changes.note(timer.connection)
            if timer.interval == 0, state.remove(number) != nil { count.subtract(1, ordering: .relaxed) }
            return timer
        }
    }

    /// Any thread; false when it is not there, or another handler's.
    func cancel(_ number: UInt64, module: UInt32) -> Bool {
        state.withLock { state in
            guard state.timers[number]?.instanceContext.module == module, let timer = state.remove(number) else {
                return false
            }
            changes.note(timer.connection)
            count.subtract(1, ordering: .relaxed)
            publish(&state)
            return true
        }
    }

    /// Ends the timers of an owner that has ended.
    func end(_ owner: Owner) {
        if count.load(ordering: .relaxed) == 0 { return }
        state.withLock { state in
            for number in state.owners[owner] ?? [] where state.remove(number) != nil {
                count.subtract(1, ordering: .relaxed)
            }
            publish(&state)
        }
    }

    // MARK: Going on elsewhere

    /// The timers of an owner that goes on in another process, in the order of their numbers.
    func timers(of owner: Owner) -> [(number: UInt64, timer: Timer)] {
        if count.load(ordering: .relaxed) == 0 { return [] }
        return state.withLock { state in
            (state.owners[owner] ?? []).sorted().compactMap { number in
                state.timers[number].map { (number: number, timer: $0) }
            }
        }
    }

    /// The worker: takes in a timer of an owner that comes from another process, under its number if that is free here.
    func resume(_ timer: Timer, as number: UInt64, due: UInt64) {
        state.withLock { state in
            let isOurs = Self.worker(of: number) == Int(worker) && state.timers[number] == nil
            if isOurs { state.last = max(state.last, number & State.mostNumbers) }
            insert(timer, as: isOurs ? number : state.nextNumber(worker), due: due, &state)
        }
    }

    /// The number that was given last, as `skip` takes it.
    var lastNumber: UInt64 { state.withLock { $0.last } }

    /// Gives no number of those that another process has given.
    func skip(to last: UInt64) { state.withLock { $0.last = max($0.last, last & State.mostNumbers) } }

    /// How many entries the schedule holds, those of ended timers included.
    var entries: Int { state.withLock { $0.schedule.count } }

    private func publish(_ state: inout State) {
        state.forgetEnded()
        earliest.store(state.schedule.first?.due ?? .max, ordering: .releasing)
    }
}
