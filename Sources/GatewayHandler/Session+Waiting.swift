internal import CGatewayABI
internal import Synchronization

extension Session {
    /// The frames that come in, until the connection ends: normally after a closing handshake or `close`, with
    /// `ConnectionLost` after anything else. What came in before the end is still given.
    public var frames: Frames { Frames(session: self) }

    /// What comes in on a session.
    public struct Frames: AsyncSequence, Sendable {
        let session: Session

        public func makeAsyncIterator() -> Iterator { Iterator(session: session) }

        /// Reads one frame after the other.
        public struct Iterator: AsyncIteratorProtocol {
            let session: Session

            public func next() async throws -> Frame? { try await session.readFrame() }

            public func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> Frame? {
                try await session.readFrame()
            }
        }
    }

    /// The next frame, as soon as there is one; `nil` when the connection has ended with a closing handshake.
    ///
    /// After a `send` of the session that was answered `backpressure` it waits until the peer has read most of what is
    /// queued for it. Only one task may read at a time. A task that is cancelled reads what is there and then throws.
    nonisolated(nonsending) public func readFrame() async throws -> Frame? {
        let (frame, number) = startReading()
        if let frame { return frame }
        // Only `close` cancels the session's own task, and it wakes the reader before.
        if !isOwnTask { return try await waitForFrame(number) }
        return try await unsafe withUnsafeThrowingContinuation { unsafe wait($0, number) }
    }

    /// The next frame; throws `SessionError.timedOut` when none has come in for so long.
    nonisolated(nonsending) public func readFrame(within limit: Duration) async throws -> Frame? {
        let (frame, number) = startReading()
        if let frame { return frame }
        let timer = connection.after(limit) { [self] _ in giveUpReading(number, SessionError.timedOut) }
        // A connection that is closing has no timers any more, but an end that is waited for.
        if timer.token == 0, connection.isOpen { throw SessionError.tooManyTimers }
        defer { timer.cancel() }
        return try await waitForFrame(number)
    }

    /// The number is for the case that there is nothing to read and it has to be waited for.
    private func startReading() -> (Frame?, number: UInt64) {
        inbox.withLock { inbox in (inbox.take(), inbox.newNumber()) }
    }

    nonisolated(nonsending) private func waitForFrame(_ number: UInt64) async throws -> Frame? {
        try await withTaskCancellationHandler {
            try await unsafe withUnsafeThrowingContinuation { unsafe wait($0, number) }
        } onCancel: {
            giveUpReading(number, CancellationError())
        }
    }

    /// The next frame if it is here already, and `readFrame()` would not wait.
    public func tryReadFrame() -> Frame? { inbox.withLock { $0.take() } }

    private func wait(_ continuation: Inbox.Waiter, _ number: UInt64) {
        let answer: Result<Frame?, any Error>? = inbox.withLock { inbox in
            if let frame = inbox.take() { return .success(frame) }
            if let end = inbox.end { return Inbox.outcome(end) }
            if unsafe inbox.waiter != nil { return .failure(SessionError.alreadyReading) }
            // A task is marked as cancelled before its handler looks for the waiter.
            if Task.isCancelled { return .failure(CancellationError()) }
            unsafe inbox.waiter = unsafe (number, continuation)
            return nil
        }
        if let answer { unsafe continuation.resume(with: answer) }
    }

    private func giveUpReading(_ number: UInt64, _ reason: any Error) {
        let waiter: Inbox.Waiter? = unsafe inbox.withLock { inbox in
            guard let waiter = unsafe inbox.waiter, unsafe waiter.number == number else { return nil }
            unsafe inbox.waiter = nil
            return unsafe waiter.continuation
        }
        unsafe waiter?.resume(throwing: reason)
    }

    // MARK: Sleeping

    /// Waits on a timer of the gateway, to the millisecond; throws `CancellationError` when the connection ends.
    nonisolated(nonsending) public func sleep(for duration: Duration) async throws {
        let number = inbox.withLock { $0.newNumber() }
        try await withTaskCancellationHandler {
            try await unsafe withUnsafeThrowingContinuation { unsafe sleep($0, number, duration) }
        } onCancel: {
            wake(number, .failure(CancellationError()))
        }
    }

    private func sleep(_ continuation: Inbox.Sleeper, _ number: UInt64, _ duration: Duration) {
        let isOver = inbox.withLock { inbox in
            if inbox.end != nil || Task.isCancelled { return true }
            inbox.sleepers[number] = unsafe Inbox.Sleep(continuation: continuation)
            return false
        }
        if isOver { return unsafe continuation.resume(throwing: CancellationError()) }
        let timer = connection.after(duration) { [self] _ in wake(number, .success(())) }
        // A connection that is closing has no timers any more.
        if timer.token == 0 {
            return wake(number, .failure(connection.isOpen ? SessionError.tooManyTimers : CancellationError()))
        }
        let isAwake = inbox.withLock { inbox in
            inbox.sleepers[number]?.timer = timer
            return inbox.sleepers[number] == nil
        }
        if isAwake { timer.cancel() }
    }

    private func wake(_ number: UInt64, _ result: Result<Void, any Error>) {
        guard let sleep = inbox.withLock({ $0.sleepers.removeValue(forKey: number) }) else { return }
        sleep.timer?.cancel()
        unsafe sleep.continuation.resume(with: result)
    }

    // MARK: Work

    /// Has `work` done by the gateway's pool, where it may block, and waits for its result.
    ///
    /// It is done in any case; its argument says when the connection has ended or the task was cancelled.
    public func offload<Value: Sendable>(
        _ work: @escaping @Sendable (Cancellation) throws -> Value
    ) async throws -> Value {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await unsafe withUnsafeThrowingContinuation { continuation in
                let job = Job(cancellation) { cancellation in
                    unsafe continuation.resume(with: Result { try work(cancellation) })
                    return { _, _ in }
                }
                var result = connection.host.offload(job, for: connection.id)
                if result == .closed { result = connection.host.offload(job, for: 0) }
                if !result.isAccepted { unsafe continuation.resume(throwing: OffloadRefused(result: result)) }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }
}
