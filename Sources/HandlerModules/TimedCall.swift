import CLinux
import Glibc
import Synchronization

/// Something that may take its time, or never come back: it runs on a thread of its own, and the control thread looks
/// now and then whether it has answered.
///
/// Code of a handler cannot be interrupted, so a caller that gives up leaves the thread behind. The handler sees what
/// [control] promises: its calls are serial, not that they share a thread.
package final class TimedCall<Answer: Sendable>: Sendable {
    private let taken: Mutex<Answer?>

    /// Begins it; `bell` is called from its thread when it has answered.
    package init(
        bell: @escaping @Sendable () -> Void, _ body: @escaping @Sendable () -> Answer
    ) throws(SystemError) {
        taken = Mutex(nil)
        try CallThread.run { [self] in
            let answer = body()
            taken.withLock { $0 = answer }
            bell()
        }
    }

    /// What it answered; nil as long as it is busy.
    package var answer: Answer? { taken.withLock { $0 } }
}

/// A detached thread.
final class CallThread: Sendable {
    private let body: @Sendable () -> Void

    private init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    static func run(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let passed = unsafe Unmanaged.passRetained(CallThread(body))
        var thread = pthread_t()
        let result = unsafe pthread_create(&thread, nil, main, passed.toOpaque())
        guard result == 0 else {
            unsafe passed.release()
            throw SystemError("pthread_create", code: result)
        }
        _ = pthread_detach(thread)
    }

    private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { passed in
        let thread = unsafe Unmanaged<CallThread>.fromOpaque(passed!).takeRetainedValue()
        // Without it an overflow of this stack is not recorded, and nothing else is the worse for it.
        _ = clinux_make_crash_stack()
        thread.body()
        return nil
    }
}
