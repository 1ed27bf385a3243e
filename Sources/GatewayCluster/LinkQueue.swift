import Synchronization

/// Publications that wait for an engine, in their order, and their numbers.
///
/// Any thread puts in, the thread of the link takes out. What does not fit, or has waited for too long, is given up: its
/// numbers are missing then, and the topics are remembered until the other gateways have been told.
final class LinkQueue: Sendable {
    struct Entry {
        let name: [UInt8]
        let head: Envelope
        let payload: [UInt8]
        /// Monotonic nanoseconds.
        let at: UInt64

        /// What it counts, so that publications of nothing are bounded as well.
        var weight: Int { name.count + payload.count + Envelope.headLength + 64 }
    }

    enum Outcome { case queued, high, full }

    /// So long an engine may be away.
    static let mostAge: UInt64 = 30_000_000_000
    /// So many topics that lost something are named.
    static let mostNamed = 16
    /// So many names have numbers; beyond that all begin afresh.
    private static let mostNumbered = 100_000

    private struct State {
        var entries: [Entry] = []
        /// The first one that has not been taken.
        var next = 0
        var bytes = 0
        var most: Int
        var numbers: [[UInt8]: UInt64] = [:]
        /// Below the numbers of all names that have not been numbered.
        var base: UInt64
        /// How many have been put in, and how many have left.
        var appended: UInt64 = 0
        var left: UInt64 = 0
        var losses: [[UInt8]: Loss] = [:]
        /// Other names have lost something, when so many had been put in.
        var otherLosses: UInt64?

        /// The next number of a name, and whether it is the first one.
        mutating func number(_ name: [UInt8], _ epochs: NumberEpochs) -> (UInt64, isFirst: Bool) {
            if let known = numbers[name] {
                numbers[name] = known + 1
                return (known + 1, false)
            }
            if numbers.count >= LinkQueue.mostNumbered {
                numbers.removeAll(keepingCapacity: true)
                base = epochs.next()
            }
            numbers[name] = base + 1
            return (base + 1, true)
        }

        mutating func noteLoss(_ name: [UInt8], _ head: Envelope) {
            let isFirst = head.flags.contains(.first) || losses[name]?.isFirst ?? false
            if losses[name] != nil || losses.count < LinkQueue.mostNamed {
                losses[name] = Loss(number: head.number, isFirst: isFirst, after: appended)
            } else {
                otherLosses = appended
            }
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
    let origin: UInt64
    private let epochs: NumberEpochs

    init(origin: UInt64, most: Int, _ epochs: NumberEpochs) {
        (self.origin, self.epochs) = (origin, epochs)
        state = Mutex(State(most: most, base: epochs.next()))
    }

    /// Bytes that wait.
    var bytes: Int { state.withLock { $0.bytes } }
    var isEmpty: Bool { state.withLock { $0.next == $0.entries.count } }

    /// - Parameter sent: microseconds since 1970.
    /// - Returns: what the publisher is to be told, and whether nothing waited before.
    func append(
        _ name: [UInt8], _ flags: Envelope.Flags, _ payload: UnsafeRawBufferPointer, at: UInt64, sent: UInt64
    ) -> (Outcome, wasEmpty: Bool) {
        let bytes = unsafe Array(payload)
        return state.withLock { state in
            let (number, isFirst) = state.number(name, epochs)
            let head = Envelope(
                kind: .publication, flags: isFirst ? flags.union(.first) : flags, origin: origin, number: number,
                sent: sent)
            let entry = Entry(name: name, head: head, payload: bytes, at: at)
            let wasEmpty = state.next == state.entries.count
            // One of any size goes through an empty queue, if it can be put together elsewhere.
            if !wasEmpty && state.bytes + entry.weight > state.most || bytes.count > PartAssembly.mostBytes {
                state.noteLoss(name, head)
                return (.full, wasEmpty)
            }
            state.entries.append(entry)
            state.appended += 1
            state.bytes += entry.weight
            return (state.bytes > state.most / 2 ? .high : .queued, wasEmpty)
        }
    }

    /// Takes the oldest ones out, at most so many, and no more than one beyond so many bytes.
    func take(atMost count: Int, bytes most: Int) -> [Entry] {
        state.withLock { state in
            var (end, bytes) = (state.next, 0)
            while end < state.entries.count, end - state.next < count, bytes < most {
                bytes += state.entries[end].weight
                end += 1
            }
            let taken = Array(state.entries[state.next..<end])
            state.bytes -= bytes
            state.left += UInt64(taken.count)
            state.next = end
            if state.next == state.entries.count {
                state.entries.removeAll(keepingCapacity: state.entries.capacity <= 4096)
                state.next = 0
            } else if state.next > 4096 {
                state.entries.removeFirst(state.next)
                state.next = 0
            }
            return taken
        }
    }

    /// What was taken and could not be sent waits again, in front of everything else.
    func putBack(_ entries: ArraySlice<Entry>) {
        if entries.isEmpty { return }
        state.withLock { state in
            state.entries.replaceSubrange(..<state.next, with: entries)
            state.next = 0
            state.left -= UInt64(entries.count)
            state.bytes += entries.reduce(0) { $0 + $1.weight }
        }
    }

    /// Gives up what has waited since before a time.
    ///
    /// - Returns: how many publications that were.
    func expire(before time: UInt64) -> Int {
        state.withLock { state in
            var end = state.next
            while end < state.entries.count, state.entries[end].at < time {
                state.bytes -= state.entries[end].weight
                state.noteLoss(state.entries[end].name, state.entries[end].head)
                end += 1
            }
            state.left += UInt64(end - state.next)
            defer {
                state.entries.removeFirst(end)
                state.next = 0
            }
            return end - state.next
        }
    }

    /// When the oldest one came; nil when there is none.
    var oldest: UInt64? { state.withLock { $0.next < $0.entries.count ? $0.entries[$0.next].at : nil } }

    /// One that was taken is given up.
    func noteLoss(of entry: Entry) { state.withLock { $0.noteLoss(entry.name, entry.head) } }

    /// Everything that waits, for another queue.
    func takeAll() -> [Entry] { take(atMost: .max, bytes: .max) }

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
}

/// From where on names are numbered that have not been: above everything that this process has numbered before, whichever
/// queue did. Else other gateways would take it for doubled.
final class NumberEpochs: Sendable {
    private let last = Atomic<UInt64>(0)

    func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue << 40 }
}
