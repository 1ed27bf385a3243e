import CLinux
import Glibc
import Synchronization

/// A call into a handler for which the control thread waits only so long.
///
/// Code of a handler cannot be interrupted, so the call runs on a thread of its own, and a caller that gives up leaves
/// the thread behind. The handler sees what [control] promises: its calls are serial, not that they share a thread.
final class ControlCall: Sendable {
    private let body: @Sendable () -> Void
    /// The end of the call is the end of file on `waiting`.
    private let waiting: Int32
    private let running: Int32

    private init(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
        var pair: [Int32] = [-1, -1]
        // socketpair and not pipe: it takes CLOEXEC, so that no probe process inherits the ends.
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw SystemError("socketpair") }
        self.body = body
        waiting = pair[0]
        running = pair[1]
    }

    deinit {
        _ = close(waiting)
        _ = close(running)
    }

    /// Runs `body` on a thread of its own; false when it was not done in time, and then it still runs.
    static func run(timeout: Duration, _ body: @escaping @Sendable () -> Void) throws(SystemError) -> Bool {
        let call = try ControlCall(body)
        try call.startThread()
        return try call.wait(timeout)
    }

    private func startThread() throws(SystemError) {
        let passed = unsafe Unmanaged.passRetained(self)
        var thread = pthread_t()
        let result = unsafe pthread_create(&thread, nil, Self.threadBody, passed.toOpaque())
        guard result == 0 else {
            unsafe passed.release()
            throw SystemError("pthread_create", code: result)
        }
        _ = pthread_detach(thread)
    }

    private static let threadBody: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { passed in
        let call = unsafe Unmanaged<ControlCall>.fromOpaque(passed!).takeRetainedValue()
        // Without it an overflow of this stack is not recorded, and nothing else is the worse for it.
        _ = clinux_make_crash_stack()
        call.body()
        _ = shutdown(call.running, Int32(SHUT_RDWR))
        return nil
    }

    private func wait(_ timeout: Duration) throws(SystemError) -> Bool {
        let deadline = ContinuousClock.now + timeout
        while true {
            var interest = pollfd(fd: waiting, events: Int16(POLLIN), revents: 0)
            let left = (deadline - ContinuousClock.now).pollMilliseconds
            let ready = unsafe poll(&interest, 1, left)
            if ready > 0 { return true }
            if ready < 0 {
                guard errno == EINTR else { throw SystemError("poll") }
            } else if ContinuousClock.now >= deadline {
                return false
            }
        }
    }
}
