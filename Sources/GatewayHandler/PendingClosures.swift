internal import CGatewayABI
internal import Synchronization

/// Where the `State` of a connection is, for as long as a callback of it runs.
@safe
struct StatePointer {
    private let address: UnsafeMutableRawPointer
    private let type: Any.Type

    init<State>(_ state: UnsafeMutablePointer<State>) {
        unsafe address = UnsafeMutableRawPointer(state)
        type = State.self
    }

    /// Lends the state, if it is of the type that is asked for.
    func withState<State>(as wanted: State.Type, _ body: (inout State) throws -> Void) throws {
        guard type == wanted else { throw StateTypeMismatch(wanted: "\(wanted)") }
        try unsafe body(&address.assumingMemoryBound(to: State.self).pointee)
    }
}

/// A closure was written for another `State` than the handler has.
struct StateTypeMismatch: Error, CustomStringConvertible {
    let wanted: String

    var description: String { "the state of the connection is no \(wanted)" }
}

/// Something to be done later, and by what name it is known when it throws.
public struct _PendingClosure: Sendable {
    typealias Body = @Sendable (Connection, StatePointer) throws -> Void

    let name: StaticString
    let body: Body

    init(_ name: StaticString, _ body: @escaping Body) {
        self.name = name
        self.body = body
    }

    init(_ name: StaticString, plain body: @escaping @Sendable (Connection) throws -> Void) {
        self.init(name) { connection, _ in try body(connection) }
    }

    init<State>(
        _ name: StaticString, with state: State.Type,
        _ body: @escaping @Sendable (Connection, inout State) throws -> Void
    ) {
        self.init(name) { connection, place in
            try place.withState(as: State.self) { try body(connection, &$0) }
        }
    }
}

/// What one instance has asked the gateway to give back later, by the tokens under which it comes back.
///
/// The gateway stores no code (rule R5): it knows a number, and the closure behind it stays here. So a closure is
/// never called after its connection has ended or has moved to another generation, which does not know the number.
final class PendingClosures: Sendable {
    enum Kind: Sendable {
        case post
        case timer(repeats: Bool)
    }

    struct Entry {
        let closure: _PendingClosure
        let kind: Kind
        /// The gateway's number of a timer, once it is known.
        var timer: gw_timer = 0
    }

    struct State {
        /// By connection, 0 for those of the handler itself, and then by token.
        var owners: [gw_conn: [UInt64: Entry]] = [:]
        /// Work by its token, until its end is told. It is done also when its connection has ended meanwhile.
        var jobs: [UInt64: (job: Job, owner: gw_conn)] = [:]
        /// Connections that went to another generation: it would get what is asked for here.
        var moved: Set<gw_conn> = []
        var last: UInt64 = 0
        var isStopped = false
    }

    private let state = Mutex(State())
    /// Lets connections of handlers that never ask for anything end without a lock.
    private let isUsed = Atomic(false)
    private let first: UInt64

    /// The token that wakes the loop of a connection; it stands for no entry.
    static let wakeToken: UInt64 = 1 << 63

    /// Tokens of different generations differ, so one that comes to the wrong one is recognised.
    init(generation: UInt64) { first = 1 << 63 | (generation & 0x7F_FFFF) << 40 }

    /// Keeps a closure; its token, or `nil` when nothing would come back.
    func add(_ closure: _PendingClosure, _ kind: Kind, for owner: gw_conn) -> UInt64? {
        isUsed.store(true, ordering: .relaxed)
        return state.withLock { state in
            guard let token = state.newToken(for: owner, first) else { return nil }
            state.owners[owner, default: [:]][token] = Entry(closure: closure, kind: kind)
            return token
        }
    }

    /// Keeps work; its token, or `nil` when it would not come back.
    func add(_ job: Job, for owner: gw_conn) -> UInt64? {
        isUsed.store(true, ordering: .relaxed)
        return state.withLock { state in
            guard let token = state.newToken(for: owner, first) else { return nil }
            state.jobs[token] = (job, owner)
            return token
        }
    }

    /// Remembers what the gateway calls a timer; false when it has gone off, was cancelled or ended meanwhile.
    func setTimer(_ timer: gw_timer, of token: UInt64, for owner: gw_conn) -> Bool {
        state.withLock { state in
            guard state.owners[owner]?[token] != nil else { return false }
            state.owners[owner]?[token]?.timer = timer
            return true
        }
    }

    /// What comes back under a token; a timer that repeats stays.
    func take(_ token: UInt64, for owner: gw_conn) -> _PendingClosure? {
        state.withLock { state -> _PendingClosure? in
            guard let entry = state.owners[owner]?[token] else { return nil }
            if case .timer(repeats: true) = entry.kind { return entry.closure }
            state.remove(token, for: owner)
            return entry.closure
        }
    }

    /// Work that is about to run.
    func job(_ token: UInt64) -> Job? { state.withLock { $0.jobs[token]?.job } }

    /// Work that has been done or refused; `nil` when `owner`, which asked for it, is not there to hear of it.
    func removeJob(_ token: UInt64, for owner: gw_conn) -> Job? {
        state.withLock { state in
            guard let (job, asker) = state.jobs.removeValue(forKey: token) else { return nil }
            return asker == owner ? job : nil
        }
    }

    /// Forgets one; the number of its timer, or `nil` when it is not there any more.
    @discardableResult
    func remove(_ token: UInt64, for owner: gw_conn) -> gw_timer? {
        state.withLock { $0.remove(token, for: owner)?.timer }
    }

    /// A connection has ended: nothing is called for it any more, and work is told that its result is not wanted.
    func end(_ owner: gw_conn) {
        guard isUsed.load(ordering: .relaxed) else { return }
        // Closures are freed behind the lock: what they hold may do anything when it goes.
        let entries = state.withLock { state in
            for (job, asker) in state.jobs.values where asker == owner { job.cancellation.cancel() }
            return state.owners.removeValue(forKey: owner)
        }
        _ = entries
    }

    /// Whether something is to go off for a connection.
    func hasTimers(_ owner: gw_conn) -> Bool {
        guard isUsed.load(ordering: .relaxed) else { return false }
        return state.withLock { state in
            state.owners[owner]?.values.contains { if case .timer = $0.kind { true } else { false } } ?? false
        }
    }

    /// Posts that wait, in their order; they are the caller's to run.
    func takePosts(_ owner: gw_conn) -> [_PendingClosure] {
        guard isUsed.load(ordering: .relaxed) else { return [] }
        return state.withLock { $0.takePosts(owner) }
    }

    /// A connection goes to another generation: what it had asked for ends.
    ///
    /// - Returns: posts that came too late to be saved, and the timers to cancel.
    func move(_ owner: gw_conn) -> (posts: [_PendingClosure], timers: [gw_timer]) {
        let (posts, entries) = state.withLock { state in
            state.moved.insert(owner)
            // Work that the gateway has taken keeps a connection where it is, so this has not been handed to it yet.
            for (token, entry) in state.jobs where entry.owner == owner {
                entry.job.abandon()
                state.jobs[token] = nil
            }
            return (state.takePosts(owner), state.owners.removeValue(forKey: owner))
        }
        return (posts, entries?.values.compactMap { $0.timer == 0 ? nil : $0.timer } ?? [])
    }

    /// A connection has come, or has come back.
    func begin(_ owner: gw_conn) { state.withLock { _ = $0.moved.remove(owner) } }

    /// The timers of the handler itself have ended at the switch.
    func endTimersOfHandler() {
        let ended = state.withLock { state in
            (state.owners[0] ?? [:]).filter { if case .timer = $0.value.kind { true } else { false } }.map { token, _ in
                state.remove(token, for: 0)
            }
        }
        _ = ended
    }

    /// The instance is stopped: nothing is kept, and nothing more is taken.
    func stop() {
        let kept = state.withLock { state in
            let kept = state
            state = State()
            state.isStopped = true
            return kept
        }
        for (job, _) in kept.jobs.values { job.cancellation.cancel() }
    }
}

extension PendingClosures.State {
    fileprivate mutating func newToken(for owner: gw_conn, _ first: UInt64) -> UInt64? {
        if isStopped || moved.contains(owner) { return nil }
        last = (last &+ 1) & 0xFF_FFFF_FFFF
        return first | max(1, last)
    }

    @discardableResult
    fileprivate mutating func remove(_ token: UInt64, for owner: gw_conn) -> PendingClosures.Entry? {
        let entry = owners[owner]?.removeValue(forKey: token)
        if owners[owner]?.isEmpty ?? false { owners[owner] = nil }
        return entry
    }

    fileprivate mutating func takePosts(_ owner: gw_conn) -> [_PendingClosure] {
        var tokens: [UInt64] = []
        for (token, entry) in owners[owner] ?? [:] {
            if case .post = entry.kind { tokens.append(token) }
        }
        return tokens.sorted().compactMap { remove($0, for: owner)?.closure }
    }
}
