import HandlerModules
import Synchronization

/// The timers that handlers have started with one worker: what each is for, and whether it still counts.
///
/// Any thread starts and cancels; the worker alone knows when they are due (`TimerQueue`), and asks here before it
/// calls. So a timer that was cancelled does not go off any more, whoever cancelled it.
final class TimerDesk: Sendable {
    /// How many timers a connection, or [home] of an instance, may have.
    static let maximumPerOwner = 1024

    enum Owner: Hashable, Sendable {
        case connection(UInt64)
        /// An instance.
        case home(UInt64)
    }

    struct Timer: Sendable {
        let record: InstanceRecord
        /// 0 for [home].
        let connection: UInt64
        let token: UInt64
        /// Nanoseconds; 0 for once.
        let interval: UInt64

        var owner: Owner { connection == 0 ? .home(record.instance.id) : .connection(connection) }
    }

    private struct State {
        var timers: [UInt64: Timer] = [:]
        var owners: [Owner: Set<UInt64>] = [:]
        /// Those that are due and wait for a thread.
        var queued: Set<UInt64> = []
        var last: UInt64 = 0

        mutating func remove(_ number: UInt64) -> Timer? {
            guard let timer = timers.removeValue(forKey: number) else { return nil }
            queued.remove(number)
            owners[timer.owner]?.remove(number)
            if owners[timer.owner]?.isEmpty ?? false { owners[timer.owner] = nil }
            return timer
        }
    }

    private let state = Mutex(State())
    /// Lets connections without timers end without a lock.
    private let count = Atomic<Int>(0)
    private let worker: UInt8

    init(worker: UInt8) { self.worker = worker }

    /// The worker of a timer's number.
    static func worker(of number: UInt64) -> Int { Int(number >> 56) }

    /// - Returns: its number, or nil when its owner has too many.
    func add(_ timer: Timer) -> UInt64? {
        state.withLock { state in
            guard state.owners[timer.owner, default: []].count < Self.maximumPerOwner else { return nil }
            state.last += 1
            let number = UInt64(worker) << 56 | state.last
            state.timers[number] = timer
            state.owners[timer.owner, default: []].insert(number)
            count.add(1, ordering: .relaxed)
            return number
        }
    }

    /// A timer is due: what it is for, if it still counts, and whether to call for it. One that repeats goes on
    /// counting; one that `waits` for a thread counts until it `fire`s there, and is called for once at a time.
    func expire(_ number: UInt64, waits: (Timer) -> Bool) -> (timer: Timer, isDue: Bool)? {
        state.withLock { state in
            guard let timer = state.timers[number] else { return nil }
            if waits(timer) { return (timer, state.queued.insert(number).inserted) }
            if timer.interval == 0, state.remove(number) != nil { count.subtract(1, ordering: .relaxed) }
            return (timer, true)
        }
    }

    /// Any thread: the event of a timer that waited for a thread runs now; nil when it does not count any more.
    func fire(_ number: UInt64) -> Timer? {
        state.withLock { state in
            guard let timer = state.timers[number] else { return nil }
            state.queued.remove(number)
            if timer.interval == 0, state.remove(number) != nil { count.subtract(1, ordering: .relaxed) }
            return timer
        }
    }

    /// Any thread; false when it is not there, or another handler's.
    func cancel(_ number: UInt64, module: UInt32) -> Bool {
        state.withLock { state in
            guard state.timers[number]?.record.module == module, state.remove(number) != nil else { return false }
            count.subtract(1, ordering: .relaxed)
            return true
        }
    }

    /// Its owner has ended.
    func end(_ owner: Owner) {
        if count.load(ordering: .relaxed) == 0 { return }
        state.withLock { state in
            for number in state.owners[owner] ?? [] where state.remove(number) != nil {
                count.subtract(1, ordering: .relaxed)
            }
        }
    }
}

/// When the timers of a worker are due, to the nanosecond: a heap with the next one in front. The worker's own.
struct TimerQueue {
    struct Entry {
        let due: UInt64
        let number: UInt64
    }

    private var entries: [Entry] = []

    /// The next one.
    var first: Entry? { entries.first }

    mutating func insert(_ number: UInt64, at due: UInt64) {
        entries.append(Entry(due: due, number: number))
        var index = entries.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            if entries[parent].due <= due { return }
            entries.swapAt(index, parent)
            index = parent
        }
    }

    /// Takes the next one out if it is due.
    mutating func popFirst(until now: UInt64) -> Entry? {
        guard let first = entries.first, first.due <= now else { return nil }
        let last = entries.removeLast()
        if entries.isEmpty { return first }
        entries[0] = last
        sink()
        return first
    }

    private mutating func sink() {
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < entries.count && entries[child].due < entries[least].due {
                least = child
            }
            if least == index { return }
            entries.swapAt(index, least)
            index = least
        }
    }
}
