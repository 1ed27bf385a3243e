import Synchronization

/// Publications that wait for an engine, in their order, and their numbers.
///
/// Any thread puts in, the thread of the link takes out. What does not fit, or has waited for too long, is given up: its
/// numbers are missing then, and the topics are remembered until the other gateways have been told.
///
///     publisher ─ append ─▶ filling ─ full, or lent ─▶ runs ─ lend ─▶ thread of the link ─▶ engine
///                              ▲                        ▲                    │
///                              └────── spares ◀─────────┴──── giveBack ──────┘
final class LinkQueue: Sendable {
    enum Outcome { case queued, high, full }

    /// So long an engine may be away.
    static let mostAge: UInt64 = 30_000_000_000
    /// So many topics that lost something are named.
    static let mostNamed = 16
    /// So many names have numbers; beyond that all begin afresh.
    private static let mostNumbered = 100_000
    private static let mostSpares = 4
    /// So many bytes are lent at once.
    private static let mostLent = 1 << 20

    private struct State {
        var runs: [PublicationRun] = []
        /// The newest ones; only for these there is room behind them.
        var filling = PublicationRun()
        var spares: [PublicationRun] = []
        /// Bytes and publications that wait.
        var bytes = 0
        var count = 0
        var most: Int
        var names: [[UInt8]: NumberedName] = [:]
        /// Below the numbers of all names that have not been numbered.
        var table: UInt64
        /// Nothing is taken any more, since there is another queue.
        var isClosed = false
        /// How many have been put in, and how many have left.
        var appended: UInt64 = 0
        var left: UInt64 = 0
        var losses: [[UInt8]: Loss] = [:]
        /// Other names have lost something, when so many had been put in.
        var otherLosses: UInt64?

        mutating func name(_ bytes: [UInt8], _ epochs: NumberEpochs) -> NumberedName {
            if let known = names[bytes] { return known }
            if names.count >= LinkQueue.mostNumbered {
                names.removeAll(keepingCapacity: true)
                table = epochs.next()
            }
            let name = NumberedName(bytes, table: table)
            names[bytes] = name
            return name
        }

        /// One of any size goes through an empty queue, if it can be put together elsewhere.
        @inline(__always)
        func takes(_ weight: Int, _ count: Int) -> Bool {
            (bytes &+ weight <= most || self.count == 0) && count <= PartAssembly.mostBytes
        }

        /// - Returns: whether more than half of the queue waits.
        @inline(__always)
        mutating func noteAppended(_ weight: Int) -> Bool {
            appended &+= 1
            count &+= 1
            bytes &+= weight
            return bytes > most >> 1
        }

        /// What comes goes behind the newest ones.
        @inline(never)
        mutating func seal() {
            if filling.isEmpty { return filling.empty() }
            var next = spares.popLast() ?? PublicationRun()
            swap(&filling, &next)
            runs.append(next)
        }

        @inline(never)
        mutating func noteLoss(_ name: NumberedName, _ number: UInt64, _ flags: Envelope.Flags) {
            let bytes = name.copy
            let isFirst = flags.contains(.first) || losses[bytes]?.isFirst ?? false
            if losses[bytes] != nil || losses.count < LinkQueue.mostNamed {
                losses[bytes] = Loss(number: number, isFirst: isFirst, after: appended)
            } else {
                otherLosses = appended
            }
        }

        mutating func keep(_ run: consuming PublicationRun) {
            if run.isOfUse, spares.count < LinkQueue.mostSpares { spares.append(run) }
        }

        /// Gives up the oldest ones of a run.
        mutating func expire(_ run: inout PublicationRun, before time: UInt64) -> Int {
            var old = 0
            while old < run.count, run[old].at < time {
                let entry = run[old]
                bytes -= entry.weight
                noteLoss(run.name(of: entry), entry.number, entry.flags)
                old += 1
            }
            count -= old
            left += UInt64(old)
            run.drop(old)
            return old
        }
    }

    /// Something that will not reach the others.
    private struct Loss {
        /// The last one.
        var number: UInt64
        /// Nobody can miss the first one by its number.
        var isFirst: Bool
        /// What was put in before goes out before they are told.
        var after: UInt64
    }

    private let state: Mutex<State>
    /// The thread of the link has found nothing here, and waits to be woken.
    private let hasWaiter = Atomic<Bool>(false)
    let origin: UInt64
    private let epochs: NumberEpochs

    init(origin: UInt64, most: Int, _ epochs: NumberEpochs) {
        (self.origin, self.epochs) = (origin, epochs)
        state = Mutex(State(most: most, table: epochs.next()))
    }

    /// Bytes that wait.
    var bytes: Int { state.withLock { $0.bytes } }
    var isEmpty: Bool { state.withLock { $0.count == 0 } }

    // MARK: Any thread

    /// A name to publish to; nil when the queue is closed.
    func name(_ bytes: [UInt8]) -> NumberedName? {
        state.withLock { $0.isClosed ? nil : $0.name(bytes, epochs) }
    }

    /// - Returns: what the publisher is to be told; nil when the name has to be asked for again.
    func append(
        _ name: NumberedName, _ flags: Envelope.Flags, _ payload: UnsafeRawBufferPointer, at: UInt64
    ) -> Outcome? {
        if let answer = unsafe tryAppend(name, flags, payload, at: at) { return answer.isHigh ? .high : .queued }
        let weight = PublicationRun.weight(name, payload.count)
        let mayTake = state.withLock { $0.takes(weight, payload.count) && $0.table == name.table }
        // The lock is held for no longer than a short copy takes.
        let held = mayTake ? unsafe PublicationRun(holding: payload) : nil
        return state.withLock { state in
            if name.table != state.table { return nil }
            let (number, isFirst) = name.next()
            let flags = isFirst ? flags.union(.first) : flags
            guard var run = held, state.takes(weight, payload.count) else {
                state.noteLoss(name, number, flags)
                return .full
            }
            run.note(name, number, flags, payload.count, weight: weight, at: at)
            state.seal()
            state.runs.append(run)
            return state.noteAppended(weight) ? .high : .queued
        }
    }

    /// Puts a short one in, if there is room.
    ///
    /// - Returns: whether more than half of the queue waits, and whether the link does: then who has put something in
    ///   wakes it, now or soon.
    @inline(__always)
    func tryAppend(
        _ name: NumberedName, _ flags: Envelope.Flags, _ payload: UnsafeRawBufferPointer, at: UInt64
    ) -> (isHigh: Bool, isAwaited: Bool)? {
        if payload.count >= PublicationRun.large { return nil }
        let weight = PublicationRun.weight(name, payload.count)
        return state.withLock { state in
            guard name.table == state.table, state.takes(weight, payload.count) else { return nil }
            let (number, isFirst) = name.next()
            if !state.filling.hasRoom(for: payload.count) { state.seal() }
            unsafe state.filling.append(
                name, number, isFirst ? flags.union(.first) : flags, payload, weight: weight, at: at)
            return (state.noteAppended(weight), hasWaiter.load(ordering: .relaxed))
        }
    }

    /// Names that were asked for have to be asked for again.
    func renew() {
        state.withLock { state in
            state.names.removeAll()
            state.table = epochs.next()
        }
    }

    /// - Returns: whether it is the caller who has to wake it.
    func takeBell() -> Bool {
        hasWaiter.load(ordering: .acquiring) && hasWaiter.exchange(false, ordering: .acquiringAndReleasing)
    }

    // MARK: The thread of the link

    /// How many have been put in.
    var appended: UInt64 { state.withLock { $0.appended } }
    /// How many of these have been lent, or given up.
    var left: UInt64 { state.withLock { $0.left } }

    /// Notes that it is about to wait, if nothing is here.
    func noteWaiting() {
        state.withLock { state in
            if state.count == 0 { hasWaiter.store(true, ordering: .releasing) }
        }
    }

    /// Takes the oldest ones out, as many as go to an engine at once, or one that is larger.
    func lend() -> [PublicationRun] {
        state.withLock { state in
            if state.runs.isEmpty, !state.filling.isEmpty { state.seal() }
            var (end, count, bytes) = (0, 0, 0)
            while end < state.runs.count, end == 0 || count + state.runs[end].count <= PublicationRun.most,
                end == 0 || bytes + state.runs[end].weight <= Self.mostLent
            {
                count += state.runs[end].count
                bytes += state.runs[end].weight
                end += 1
            }
            let lent = Array(state.runs[..<end])
            state.runs.removeFirst(end)
            state.bytes -= bytes
            state.count -= count
            state.left += UInt64(count)
            return lent
        }
    }

    /// The first ones of what was lent have left. The others wait again, in front of everything else.
    func giveBack(_ lent: consuming [PublicationRun], behind taken: Int) {
        var (rest, taken) = (lent, taken)
        var done: [PublicationRun] = []
        while let count = rest.first?.count, count <= taken {
            var run = rest.removeFirst()
            taken -= count
            run.empty()
            done.append(run)
        }
        if !rest.isEmpty { rest[0].drop(taken) }
        state.withLock { state in
            for run in done { state.keep(run) }
            if rest.isEmpty { return }
            let count = rest.reduce(0) { $0 + $1.count }
            state.bytes += rest.reduce(0) { $0 + $1.weight }
            state.count += count
            state.left -= UInt64(count)
            state.runs.insert(contentsOf: rest, at: 0)
        }
    }

    /// Gives up what has waited since before a time.
    ///
    /// - Returns: how many publications that were.
    func expire(before time: UInt64) -> Int {
        state.withLock { state in
            var expired = 0
            if !state.filling.isEmpty, state.filling.oldest ?? .max < time { state.seal() }
            while var run = state.runs.first {
                expired += state.expire(&run, before: time)
                if !run.isEmpty {
                    state.runs[0] = run
                    break
                }
                state.runs.removeFirst()
            }
            return expired
        }
    }

    /// When the oldest one came; nil when there is none.
    var oldest: UInt64? { state.withLock { $0.runs.first?.oldest ?? $0.filling.oldest } }

    /// One that was lent is given up.
    func noteLoss(of entry: PublicationRun.Entry, to name: NumberedName) {
        state.withLock { $0.noteLoss(name, entry.number, entry.flags) }
    }

    /// What the others are to be told: notices of names that have lost something, and whether more have. What was put in
    /// before such a loss has left.
    func takeLosses(sent: UInt64) -> (notices: [(name: [UInt8], head: Envelope)], others: Bool) {
        state.withLock { state in
            if state.losses.isEmpty, state.otherLosses == nil { return ([], false) }
            let left = state.left
            let due = state.losses.filter { $0.value.after <= left }
            let notices = due.map { name, loss in
                (
                    name,
                    Envelope(
                        kind: .loss, flags: loss.isFirst ? .first : [], origin: origin, number: loss.number, sent: sent)
                )
            }
            for name in due.keys { state.losses[name] = nil }
            let others = state.otherLosses.map { $0 <= left } ?? false
            if others { state.otherLosses = nil }
            return (notices, others)
        }
    }

    // MARK: The end

    /// Everything that waits, for another queue. This one takes nothing more.
    func close() -> [PublicationRun] {
        state.withLock { state in
            state.seal()
            state.isClosed = true
            state.table = epochs.next()
            state.left += UInt64(state.count)
            (state.bytes, state.count) = (0, 0)
            defer { state.runs = [] }
            return state.runs
        }
    }
}

/// From where on names are numbered that have not been: above everything that this process has numbered before, whichever
/// queue did. Else other gateways would take it for doubled.
final class NumberEpochs: Sendable {
    private let last = Atomic<UInt64>(0)

    func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue << 40 }
}
