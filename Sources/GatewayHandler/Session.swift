internal import CGatewayABI
internal import Synchronization

/// A connection as its own task sees it: what comes in is asked for, in a loop.
///
/// The task runs on the event loop that serves the connection and shares it with thousands of others: it may wait for
/// anything, but must not block or compute for long; that is what `offload` is for. Its child tasks run there as well,
/// one at a time. A `Task {}` of its own, or an actor with an executor of its own, does not.
public final class Session: Sendable {
    /// The connection itself; `Sendable`, and usable from everywhere.
    public let connection: Connection
    /// The peer, as its opening handshake said.
    public let info: ConnectionInfo

    let executor: SessionExecutor
    let inbox: Mutex<Inbox>
    /// How often the queue has drained, to be asked before each send.
    private let drains = Atomic<Int>(0)
    private let task = Mutex<Task<Void, Never>?>(nil)
    /// The address of the task, to know it again.
    private let taskAddress = Atomic<UInt>(0)

    init(_ connection: Connection, _ info: ConnectionInfo) {
        self.connection = connection
        self.info = info
        executor = SessionExecutor(connection)
        inbox = Mutex(Inbox(connection))
    }

    /// How the connection ended; `nil` while it has not.
    public var closeEvent: CloseEvent? { inbox.withLock { $0.end } }

    /// True once a newer generation of the handler serves new clients. A loop that sees it may finish what it is doing
    /// and close with `serviceRestart`; what is left when the route's `drain_timeout` is over is closed so in any case.
    public var isDraining: Bool { connection.host.outlivingTasks.isDraining }

    // MARK: What the handler's callbacks tell it

    func start(_ body: @escaping @Sendable () async -> Void) {
        executor.callback {
            let task = Task(executorPreference: executor) { [self] in
                taskAddress.store(Self.currentTask, ordering: .relaxed)
                await body()
            }
            self.task.withLock { $0 = task }
        }
    }

    /// Whether the session's own task is running, and not a child of it.
    var isOwnTask: Bool { Self.currentTask == taskAddress.load(ordering: .relaxed) }

    private static var currentTask: UInt {
        unsafe withUnsafeCurrentTask { task in
            // No more than the address of the task, which is alive as long as it reads.
            unsafe task.map { unsafe unsafeBitCast($0, to: UInt.self) } ?? 0
        }
    }

    func deliver(_ frame: consuming Frame, at turn: Duration) {
        switch inbox.withLock({ $0.put(frame, at: turn) }) {
        case .given(let waiter): executor.callback { unsafe waiter.resume(returning: frame) }
        case .keptForWaiter: if !executor.schedule() { wakeReader() }
        case .kept: break
        }
    }

    /// Gives what has come in to the reader that waits for it, and lets the tasks of the connection go on.
    func wakeReader() {
        executor.callback {
            guard let (waiter, frame) = unsafe inbox.withLock({ unsafe $0.wake() }) else { return }
            unsafe waiter.resume(returning: frame)
        }
    }

    /// The peer has read most of what was queued: what it sent meanwhile is given to the reader.
    func drained() {
        inbox.withLock { drains.store($0.unblock(), ordering: .releasing) }
        wakeReader()
    }

    /// The connection has ended: reading ends, sleepers wake, the task is cancelled.
    func close(_ event: CloseEvent) {
        executor.end()
        executor.callback {
            let (waiter, frame, sleepers) = unsafe inbox.withLock { inbox in
                inbox.end = event
                defer { unsafe (inbox.waiter, inbox.sleepers) = (nil, [:]) }
                // What was kept for the reader comes before the end.
                return unsafe (inbox.waiter, inbox.waiter == nil ? nil : inbox.take(), inbox.sleepers)
            }
            if let waiter = unsafe waiter {
                unsafe waiter.continuation.resume(with: frame.map { .success($0) } ?? Inbox.outcome(event))
            }
            for sleep in sleepers.values { unsafe sleep.continuation.resume(throwing: CancellationError()) }
            // Behind the others, so that a reader learns how the connection ended and not only that it was cancelled.
            task.withLock { $0 }?.cancel()
        }
        // Most tasks have nothing more to do, and have ended by now.
        task.withLock { if $0 != nil { connection.host.outlivingTasks.add(executor, of: connection) } }
    }

    /// The task has ended: nothing of it is left to wait for.
    func finish() {
        task.withLock { $0 = nil }
        connection.host.outlivingTasks.remove(connection)
    }
}

// MARK: - Sending

// A loop that answers what it reads need not look at the results: after `backpressure` no more is read from the session
// until the peer has taken most of what is queued.
extension Session {
    /// Sends a text message.
    @discardableResult
    public func send(_ text: String) -> SendResult { sending { connection.send(text) } }

    /// Sends a binary message.
    @discardableResult
    public func send(_ bytes: [UInt8]) -> SendResult { sending { connection.send(bytes) } }

    /// Sends a message that came in, back or to another peer, as the same kind.
    @discardableResult
    public func send(_ frame: Frame) -> SendResult { sending { connection.send(frame) } }

    @inline(__always)
    private func sending(_ send: () -> SendResult) -> SendResult {
        let before = drains.load(ordering: .acquiring)
        let result = send()
        if result == .backpressure { inbox.withLock { $0.block(before) } }
        return result
    }

    /// Answers a ping, for a handler whose manifest says `manualPong`.
    @discardableResult
    public func pong(_ ping: Frame) -> SendResult { connection.pong(ping.bytes) }

    /// Starts the closing handshake after what is queued; the frames end when it is over.
    @discardableResult
    public func close(_ code: CloseCode? = .normalClosure, reason: String = "") -> SendResult {
        connection.close(code, reason: reason)
    }
}

extension Connection {
    /// Sends a message that came in on to this connection, as the same kind; a ping is not one. [any]
    @discardableResult
    public func send(_ frame: Frame) -> SendResult {
        switch frame.kind {
        case .text: unsafe frame.bytes.withUnsafeBytes { unsafe send(GW_TEXT, $0) }
        case .binary: send(frame.bytes)
        case .ping: .invalid
        }
    }
}
