import CGatewayABI
import CLinux
import HandlerModules
import Synchronization

/// A call of work() that a handler asked for.
struct Job: PoolTask {
    let instanceContext: InstanceContext
    let connection: UInt64
    let token: UInt64
    /// The handler's pointer as a number; the handler answers for what is behind it.
    let pointer: UInt
    /// The worker that hears of its end.
    let port: WorkerPort

    func run() {
        let instance = instanceContext.instance
        var status = Status.unsupported
        if let work = unsafe instance.generation.callbacks.work {
            instance.crashSite.enter(CLINUX_WORK, connection: connection)
            unsafe status = work(
                instance.selfPointer, connection, token, UnsafeMutableRawPointer(bitPattern: pointer))
            CrashSite.leave()
        }
        port.post(
            .event(
                HandlerEvent(
                    instanceContext: instanceContext, connection: connection, token: token,
                    kind: .workDone(pointer: pointer, status: status))))
        instanceContext.jobEnded()
    }
}

/// The threads of [pool].
final class JobPool: Sendable {
    static let maximumThreads = 16
    /// Jobs that wait for a thread; with one more `offload` answers GW_E_LIMIT.
    static let maximumWaiting = 1024

    private let threads = ThreadPool<Job>(name: "pool", maximumThreads: maximumThreads)
    /// Jobs whose GW_EV_WORK_DONE has not been delivered.
    let outstanding = Atomic<Int>(0)

    /// - Returns: false when too many wait already.
    func submit(_ job: Job) -> Bool { threads.submit(job, maximumWaiting: Self.maximumWaiting) }

    /// Ends the threads once they have nothing to do.
    func finish() { threads.finish() }
}
