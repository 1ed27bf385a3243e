import Glibc
import Synchronization

/// What comes from an engine: told from garbage, from echoes of one's own and from what has come already, joined where it
/// came in parts, and given to the members here.
final class ClusterInbox: Sendable {
    private struct State {
        /// By name, of those that are followed.
        var numbers: [[UInt8]: OriginNumbers] = [:]
        var parts = PartAssembly()
        /// While another program hears the engine for this one as well.
        var twin: TwinPublications?
    }

    private let state: Mutex<State>
    private let origin: UInt64
    let twin: Twin
    private let prefix: [UInt8]
    private let lossName: [UInt8]
    private let counters: ClusterCounters
    private let host: any ClusterHost

    init(
        origin: UInt64, twin: Twin = Twin(), prefix: [UInt8], counters: ClusterCounters,
        host: any ClusterHost
    ) {
        (self.origin, self.twin, self.prefix, self.counters, self.host) = (origin, twin, prefix, counters, host)
        lossName = TopicName.losses(prefix: prefix)
        let isBeside = twin.isHearing.load(ordering: .relaxed)
        state = Mutex(State(twin: isBeside ? TwinPublications(behind: [:]) : nil))
    }

    /// Members are here; deliveries begin soon.
    func follow(_ name: [UInt8]) {
        let isBeside = state.withLock { state in
            guard state.numbers[name] == nil else { return false }
            state.numbers[name] = OriginNumbers()
            return state.twin != nil
        }
        if isBeside, let topic = TopicName(wire: name, prefix: prefix) { host.noteFollowed(topic) }
    }

    /// Nobody is here any more.
    func forget(_ name: [UInt8]) {
        state.withLock { state in
            state.numbers[name] = nil
            _ = state.twin?.takeAll(of: name)
        }
    }

    /// A connection to an engine has ended: no part of what has begun will follow.
    func forgetParts() { state.withLock { $0.parts.removeAll() } }

    func receive(_ name: UnsafeRawBufferPointer, _ data: UnsafeRawBufferPointer) {
        // An engine gives back all that was published to a topic with members here: no look at the rest of it.
        let origin = unsafe Envelope.origin(of: data)
        if origin == self.origin || origin != 0 && origin == twin.origin.load(ordering: .relaxed) { return }
        guard let (head, payload) = unsafe Envelope.read(data) else {
            counters.rejected.add(1, ordering: .relaxed)
            return
        }
        let name = unsafe Array(name)
        if name == lossName, head.kind == .loss { return noteGap(nil) }
        guard let topic = TopicName(wire: name, prefix: prefix), head.kind != .probe else {
            counters.rejected.add(1, ordering: .relaxed)
            return
        }
        switch head.kind {
        case .publication: unsafe take(head, payload, name, topic)
        case .loss: noteLoss(head, name, topic)
        case .probe: break
        }
    }

    private func take(
        _ head: Envelope, _ payload: UnsafeRawBufferPointer, _ name: [UInt8], _ topic: TopicName
    ) {
        let (verdict, whole) = state.withLock { state -> (OriginNumbers.Verdict?, [UInt8]?) in
            // It was left meanwhile.
            guard state.numbers[name] != nil else { return (nil, nil) }
            var whole: [UInt8]?
            if head.parts > 1 {
                switch unsafe state.parts.take(head, payload, name: name) {
                case .unfinished: return (nil, nil)
                case .dropped:
                    let verdict = state.numbers[name]?.noteLoss(upTo: head.number, of: head.origin)
                    return (verdict == .doubled ? nil : verdict, nil)
                case .whole(let payload): whole = payload
                }
            }
            let verdict = state.numbers[name]?.take(
                head.number, of: head.origin, isFirst: head.flags.contains(.first))
            guard state.twin != nil, let verdict else { return (verdict, whole) }
            if verdict != .doubled {
                state.twin?.keep(.init(topic: topic, name: name, head: head, payload: unsafe whole ?? Array(payload)))
            }
            // Whoever hears for both tells what is missing there.
            return (nil, nil)
        }
        guard let verdict else { return }
        noteMissing(verdict, topic)
        if verdict == .doubled { return }
        if let whole {
            unsafe whole.withUnsafeBytes { unsafe deliver(topic, head, $0) }
        } else if head.parts == 1 {
            unsafe deliver(topic, head, payload)
        }
    }

    private func deliver(_ topic: TopicName, _ head: Envelope, _ payload: UnsafeRawBufferPointer) {
        counters.received.add(1, ordering: .relaxed)
        noteLag(head)
        let isTaken = unsafe host.deliver(
            topic, PublicationID(origin: head.origin, number: head.number), isText: head.flags.contains(.text),
            isPlain: head.flags.contains(.plain), payload)
        if isTaken { return }
        counters.lost.add(1, ordering: .relaxed)
        noteGap(topic)
    }

    // MARK: Beside a twin

    var isBeside: Bool { state.withLock { $0.twin != nil } }

    /// Another program hears the engine for this one as well.
    func beginBeside() { state.withLock { $0.twin = $0.twin ?? TwinPublications(behind: $0.numbers) } }

    /// It passes one on. Any before that which it has missed goes to the members here.
    ///
    /// - Returns: false for one that they have had.
    func notePassed(_ id: PublicationID, _ topic: TopicName) -> Bool {
        guard let name = topic.wire(prefix: prefix) else { return true }
        let verdict = state.withLock { state -> OriginNumbers.Verdict? in
            guard let (missed, verdict) = state.twin?.pass(id, name) else { return nil }
            for each in missed { deliver(each) }
            return verdict
        }
        if case .behind? = verdict { noteGap(topic) }
        return verdict != .doubled
    }

    /// It hears a topic only from now on, and has had no members of it.
    func noteShared(_ topic: TopicName) {
        guard let name = topic.wire(prefix: prefix) else { return }
        state.withLock { state in
            for each in state.twin?.takeAll(of: name) ?? [] { deliver(each) }
        }
    }

    /// Under the lock: nothing overtakes it.
    private func deliver(_ kept: TwinPublications.Kept) {
        unsafe kept.payload.withUnsafeBytes { unsafe deliver(kept.topic, kept.head, $0) }
    }

    /// It has ended. What it has not passed on goes to the members here, before anything that comes.
    func goOnAlone() {
        let hasLost = state.withLock { state in
            guard var twin = state.twin.take() else { return false }
            for each in twin.takeAll() { deliver(each) }
            for (name, numbers) in twin.passed { state.numbers[name]?.join(numbers) }
            return twin.hasLost
        }
        if hasLost { noteGap(nil) }
    }

    /// The publisher could not send everything up to a number.
    private func noteLoss(_ head: Envelope, _ name: [UInt8], _ topic: TopicName) {
        if let verdict = state.withLock({ $0.numbers[name]?.noteLoss(upTo: head.number, of: head.origin) }) {
            noteMissing(verdict, topic)
            // What came first is missed by nobody.
            if verdict == .doubled, head.flags.contains(.first) { noteGap(topic) }
        }
    }

    private func noteMissing(_ verdict: OriginNumbers.Verdict, _ topic: TopicName) {
        switch verdict {
        case .next, .doubled: return
        case .behind(let lost): counters.lost.add(lost, ordering: .relaxed)
        case .afresh: break
        }
        noteGap(topic)
    }

    func noteGap(_ topic: TopicName?) {
        counters.gaps.add(1, ordering: .relaxed)
        host.noteGap(topic)
    }

    private func noteLag(_ head: Envelope) {
        let now = Self.wallMicroseconds()
        counters.lag.store(now > head.sent ? now - head.sent : 0, ordering: .relaxed)
    }

    static func wallMicroseconds() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec / 1000)
    }
}
