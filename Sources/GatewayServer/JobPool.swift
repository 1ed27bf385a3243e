import CGatewayABI
import CLinux
import GatewayIO
import Glibc
import HandlerModules
import Synchronization

/// A call of work() that a handler asked for.
struct Job: Sendable {
    let record: InstanceRecord
    let connection: UInt64
    let token: UInt64
    /// The handler's pointer as a number; the handler answers for what is behind it.
    let pointer: UInt
    /// The worker that hears of its end.
    let port: WorkerPort

    func run() {
        let instance = record.instance
        var status = Status.unsupported
        if let work = unsafe instance.generation.callbacks.work {
            instance.crashSite.enter(CLINUX_WORK, connection: connection)
            unsafe status = work(
                instance.selfPointer, connection, token, UnsafeMutableRawPointer(bitPattern: pointer))
            CrashSite.leave()
        }
        port.post(
            .event(
                LaterEvent(
                    record: record, connection: connection, token: token,
                    kind: .workDone(pointer: pointer, status: status))))
        record.jobEnded()
    }
}

/// The threads of [pool]: they come when there is work that nobody is free for, up to a limit, and may block.
final class JobPool: Sendable {
    static let maximumThreads = 16
    /// Jobs that wait for a thread; with one more `offload` answers GW_E_LIMIT.
    static let maximumWaiting = 1024

    private struct State {
        var waiting: [Job] = []
        var threads = 0
        var idle = 0
        var isOver = false
        var bell: PoolBell?
    }

    private let state = Mutex(State())
    /// Jobs whose GW_EV_WORK_DONE has not been delivered.
    let outstanding = Atomic<Int>(0)

    private enum Taken {
        case refused
        case queued(PoolBell)
        case queuedForNewThread(PoolBell)
    }

    /// - Returns: false when too many wait already, or there is no thread for it.
    func submit(_ job: Job) -> Bool {
        let taken = state.withLock { state -> Taken in
            if state.isOver || state.waiting.count >= Self.maximumWaiting { return .refused }
            if state.bell == nil { state.bell = try? PoolBell() }
            guard let bell = state.bell else { return .refused }
            state.waiting.append(job)
            if state.idle >= state.waiting.count || state.threads >= Self.maximumThreads { return .queued(bell) }
            state.threads += 1
            return .queuedForNewThread(bell)
        }
        switch taken {
        case .refused: return false
        case .queued(let bell): bell.ring()
        case .queuedForNewThread(let bell):
            bell.ring()
            start(bell)
        }
        return true
    }

    private func start(_ bell: PoolBell) {
        do throws(Errno) {
            try SystemThread(name: "pool") { [self] in work(bell) }.detach()
        } catch {
            // Whoever has a thread takes the job when it is free; with none at all the next `offload` tries again.
            state.withLock { $0.threads -= 1 }
        }
    }

    private func work(_ bell: PoolBell) {
        while let job = next(bell) { job.run() }
    }

    private func next(_ bell: PoolBell) -> Job? {
        state.withLock { $0.idle += 1 }
        bell.wait()
        return state.withLock { state in
            state.idle -= 1
            if !state.waiting.isEmpty { return state.waiting.removeFirst() }
            state.threads -= 1
            return nil
        }
    }

    /// Ends the threads once they have nothing to do.
    func finish() {
        let (bell, threads) = state.withLock { state in
            state.isOver = true
            return (state.bell, state.threads)
        }
        for _ in 0..<threads { bell?.ring() }
    }
}

/// Lets one thread of the pool go on for each ring.
private final class PoolBell: Sendable {
    private let descriptor: FileDescriptor

    init() throws(Errno) {
        let number = eventfd(0, Int32(EFD_CLOEXEC | EFD_SEMAPHORE))
        guard number >= 0 else { throw Errno.last }
        descriptor = FileDescriptor(adopting: number)
    }

    func ring() { _ = eventfd_write(descriptor.number, 1) }

    func wait() {
        var count: eventfd_t = 0
        while unsafe eventfd_read(descriptor.number, &count) != 0, Errno.last.code == EINTR {}
    }
}
