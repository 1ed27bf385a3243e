internal import CGatewayABI
internal import Synchronization

/// Whether the result of a piece of work is still wanted; to be asked by work that takes long.
public final class Cancellation: Sendable {
    private let flag = Atomic(false)

    /// True once the connection that asked has ended, or the instance was stopped: the result will be thrown away.
    public var isCancelled: Bool { flag.load(ordering: .relaxed) }

    init() {}

    func cancel() { flag.store(true, ordering: .relaxed) }
}

/// The gateway takes no more work now: its pool is full, or this generation has been stopped.
public struct OffloadRefused: Error, CustomStringConvertible {
    /// What the gateway answered.
    public let result: SendResult

    public var description: String { "the gateway took no more work (\(result))" }
}

/// A piece of work on its way to the pool and back.
final class Job: Sendable {
    typealias Completion = _PendingClosure.Body

    let cancellation: Cancellation
    private let work: @Sendable (Cancellation) throws -> Completion
    private let outcome = Mutex<Completion?>(nil)
    private let abandoned = Atomic(false)

    init(
        _ cancellation: Cancellation = Cancellation(),
        _ work: @escaping @Sendable (Cancellation) throws -> Completion
    ) {
        self.cancellation = cancellation
        self.work = work
    }

    /// Its connection has moved before the gateway knew of it: it will not be done.
    func abandon() { abandoned.store(true, ordering: .releasing) }
    var isAbandoned: Bool { abandoned.load(ordering: .acquiring) }

    /// Does it, and finds out what to do with the result. [pool]
    func run() {
        let completion: Completion
        do {
            completion = try work(cancellation)
        } catch {
            completion = { _, _ in throw error }
        }
        outcome.withLock { $0 = completion }
    }

    /// The closure for when it is done; it throws what the work has thrown.
    var closure: _PendingClosure {
        _PendingClosure("offload") { connection, place in
            let completion = self.outcome.withLock { outcome in
                defer { outcome = nil }
                return outcome
            }
            try completion?(connection, place)
        }
    }
}

extension Host {
    /// Has a job done for a connection, or for the handler itself (0).
    ///
    /// - Returns: `closed` when the connection has ended, and the result is not wanted.
    func offload(_ job: Job, for owner: gw_conn) -> SendResult {
        guard let offload = unsafe table.pointee.offload else { return .unsupported }
        guard let token = pendingClosures.add(job, for: owner) else { return .closed }
        let result = unsafe SendResult(status: offload(table, instance, owner, token, nil))
        if !result.isAccepted { _ = pendingClosures.removeJob(token, for: owner) }
        return job.isAbandoned ? .closed : result
    }
}

extension Connection {
    /// Has `work` done by the gateway's pool, where it may block, and then calls `then` on the connection's own thread.
    ///
    ///     try connection.offload { _ in try lookUp(name) } then: { connection, found in connection.send(found) }
    ///
    /// `work` runs beside everything else, so it shares nothing that could be changed: the compiler sees to that. It is
    /// done in any case, but its argument says when the connection has ended, and `then` is not called any more. What
    /// `work` or `then` throws is as if a callback had thrown it: `failed`, and 1011. Throws itself when the pool is
    /// full. While work is under way a reload leaves the connection where it is. [any]
    public func offload<Value: Sendable>(
        _ work: @escaping @Sendable (Cancellation) throws -> Value,
        then: @escaping @Sendable (Connection, Value) throws -> Void
    ) throws(OffloadRefused) {
        try offload(
            Job { cancellation in
                let value = try work(cancellation)
                return { connection, _ in try then(connection, value) }
            })
    }

    /// The same for a handler with a `State`, which is lent to `then`: `connection.offload(with: Member.self) {…}`.
    public func offload<State, Value: Sendable>(
        with state: State.Type, _ work: @escaping @Sendable (Cancellation) throws -> Value,
        then: @escaping @Sendable (Connection, Value, inout State) throws -> Void
    ) throws(OffloadRefused) {
        try offload(
            Job { cancellation in
                let value = try work(cancellation)
                return { connection, place in
                    try place.withState(as: State.self) { try then(connection, value, &$0) }
                }
            })
    }

    private func offload(_ job: Job) throws(OffloadRefused) {
        let result = host.offload(job, for: id)
        // A connection that has ended is no mistake: its `closed` comes, or came.
        if !result.isAccepted && result != .closed { throw OffloadRefused(result: result) }
    }
}

extension Gateway {
    /// Has `work` done by the gateway's pool for the handler as a whole, and then calls `then`, one at a time with
    /// everything else that belongs to no connection. What either throws is logged. [any]
    public func offload<Value: Sendable>(
        _ work: @escaping @Sendable (Cancellation) throws -> Value,
        then: @escaping @Sendable (Value) throws -> Void = { _ in }
    ) throws(OffloadRefused) {
        let job = Job { cancellation in
            let value = try work(cancellation)
            return { _, _ in try then(value) }
        }
        let result = host.offload(job, for: 0)
        if !result.isAccepted { throw OffloadRefused(result: result) }
    }
}
