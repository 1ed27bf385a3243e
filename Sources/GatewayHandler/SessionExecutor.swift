internal import CGatewayABI
internal import Synchronization

/// Runs the tasks of one connection on the event loop that serves it, one piece at a time and never two at once.
///
///     callback ─▶ resumes a task ─▶ enqueue ┐
///                                           ├─▶ jobs ─▶ run at the end of the callback
///     other thread ─▶ enqueue ─▶ post ──────┘
///
/// What a callback of the connection resumes runs before that callback returns, without a way round through the
/// gateway. What another thread resumes, the pool for one, is run by an event that it posts. Once the connection has
/// ended the events go to [home], and when the instance is being stopped its tasks are run by `stop`.
final class SessionExecutor: TaskExecutor {
    private struct State {
        /// The next job, which as a rule is the only one; behind it others, from `next` on.
        var first: UnownedJob?
        var others: [UnownedJob] = []
        var next = 0
        /// Some thread is running jobs; it takes what is added meanwhile.
        var isRunning = false
        /// An event is on its way that will run them.
        var isScheduled = false
        /// `closed` of the connection has been called: no event finds it any more.
        var hasEnded = false
    }

    private let state = Mutex(State())
    private let connection: Connection

    init(_ connection: Connection) { self.connection = connection }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // The runtime only lends us this executor. Once the job can be seen another thread may run it, and it may be the
        // last thing that the task does, and the task the last reference to the executor.
        let (kept, hasEnded) = unsafe state.withLock { state -> (Unmanaged<SessionExecutor>?, Bool) in
            if state.first == nil && state.others.isEmpty { state.first = job } else { state.others.append(job) }
            if state.isRunning || state.isScheduled { return (nil, state.hasEnded) }
            state.isScheduled = true
            return unsafe (Unmanaged.passRetained(self), state.hasEnded)
        }
        if let kept = unsafe kept {
            wake(hasEnded: hasEnded)
            unsafe kept.release()
        }
    }

    /// Has an event come back that runs what is to be run by then; false when jobs are being run already.
    func schedule() -> Bool {
        let (isRunning, mustWake, hasEnded) = state.withLock { state in
            defer { if !state.isRunning { state.isScheduled = true } }
            return (state.isRunning, !state.isScheduled, state.hasEnded)
        }
        if !isRunning, mustWake { wake(hasEnded: hasEnded) }
        return !isRunning
    }

    /// Runs a callback of the connection, and then all that it has set going.
    func callback(_ body: () -> Void) {
        let isOurs = state.withLock { state in
            defer { state.isRunning = true }
            return !state.isRunning
        }
        body()
        // While the closing handshake lasts, [home] may be running jobs; it takes ours along.
        if isOurs { runJobs() }
    }

    /// The last callback: from here on nothing of the connection finds its way here.
    func end() { state.withLock { ($0.hasEnded, $0.isScheduled) = (true, false) } }

    private func runJobs() {
        let executor = unsafe asUnownedTaskExecutor()
        while let job = nextJob() { unsafe job.runSynchronously(on: executor) }
    }

    private func nextJob() -> UnownedJob? {
        state.withLock { state in
            if let job = state.first {
                state.first = nil
                return job
            }
            if state.next < state.others.count {
                state.next += 1
                return state.others[state.next - 1]
            }
            if state.next > 0 { state.others.removeAll(keepingCapacity: true) }
            (state.next, state.isRunning, state.isScheduled) = (0, false, false)
            return nil
        }
    }

    /// Has the gateway call back where the connection lives, or else anywhere.
    private func wake(hasEnded: Bool) {
        let host = connection.host
        if !hasEnded, let post = unsafe host.table.pointee.post,
            unsafe post(host.table, host.instance, connection.id, PendingClosures.wakeToken, nil, 0) >= 0
        {
            return
        }
        // It is closing, or closed.
        if host.outlivingTasks.isStopping { return host.outlivingTasks.signal() }
        if host.post(_PendingClosure("wake", plain: { _ in self.callback {} }), for: 0) { return }
        // No event will do it; `stop` does if it has begun meanwhile.
        if host.outlivingTasks.isStopping { host.outlivingTasks.signal() } else { callback {} }
    }
}
