import CLinux
import GatewayIO
import Glibc
import Synchronization

/// Something that a thread of a pool does.
protocol PoolTask: Sendable {
    func run()
}

/// Threads that come when there is a task and no idle thread, up to a limit, and may block.
final class ThreadPool<Task: PoolTask>: Sendable {
    private struct State {
        var waiting = Fifo<Task>()
        var threads = 0
        var idle = 0
        var isOver = false
    }

    private let state = Mutex(State())
    private let bell = Semaphore()
    private let name: String
    private let maximumThreads: Int

    private enum Taken {
        case refused
        case queued
        case queuedForNewThread
    }

    init(name: String, maximumThreads: Int) {
        self.name = name
        self.maximumThreads = maximumThreads
    }

    /// - Returns: false when so many wait already, or the pool has ended.
    func submit(_ task: Task, maximumWaiting: Int = .max) -> Bool {
        let taken = state.withLock { state -> Taken in
            if state.isOver || state.waiting.count >= maximumWaiting { return .refused }
            state.waiting.append(task)
            if state.idle >= state.waiting.count || state.threads >= maximumThreads { return .queued }
            state.threads += 1
            return .queuedForNewThread
        }
        if case .refused = taken { return false }
        bell.signal()
        if case .queuedForNewThread = taken { start() }
        return true
    }

    /// A task comes back behind the others. Only for threads of the pool: this one is free for it in a moment.
    func requeue(_ task: Task) {
        state.withLock { $0.waiting.append(task) }
        bell.signal()
    }

    private func start() {
        do throws(Errno) {
            try SystemThread(name: name) { [self] in
                // An overflow of the stack can only be told on another one.
                _ = clinux_make_crash_stack()
                work()
            }.detach()
        } catch {
            // A thread that is there takes the task when it is free; with none at all the next task tries again.
            state.withLock { $0.threads -= 1 }
        }
    }

    private func work() {
        while let task = next() {
            clinux_begin_task()
            task.run()
            clinux_end_task()
        }
    }

    private func next() -> Task? {
        state.withLock { $0.idle += 1 }
        bell.wait()
        return state.withLock { state in
            state.idle -= 1
            if let task = state.waiting.popFirst() { return task }
            state.threads -= 1
            return nil
        }
    }

    /// Ends the threads once they have nothing to do.
    func finish() {
        let threads = state.withLock { state in
            state.isOver = true
            return state.threads
        }
        for _ in 0..<threads { bell.signal() }
    }
}
