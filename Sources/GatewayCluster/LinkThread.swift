import GatewayIO
import Synchronization

/// The thread of a link, which is joined or let go of, once.
final class LinkThread: Sendable {
    /// Says that the thread has nothing left to do.
    private final class End: Sendable {
        let waker: Waker
        init() throws(Errno) { waker = try Waker() }
    }

    private let thread: Mutex<SystemThread?>
    private let end: End

    init(_ run: @escaping @Sendable () -> Void) throws(Errno) {
        let end = try End()
        self.end = end
        thread = Mutex(
            try SystemThread(name: "cluster") {
                run()
                end.waker.ring()
            })
    }

    /// Waits for its end until a time of the monotonic clock.
    ///
    /// - Returns: false when it has not come to it.
    func join(until time: UInt64) -> Bool {
        do throws(Errno) {
            let poller = try Poller()
            try poller.add(end.waker.number, token: 0, interest: .readable)
            // A signal ends a wait as well.
            while try poller.wait(milliseconds: 0) == 0 {
                let now = Clock.monotonicNanoseconds()
                if now >= time { return false }
                _ = try poller.wait(milliseconds: Int32(clamping: (time - now) / 1_000_000 + 1))
            }
        } catch {
            return false
        }
        let thread = self.thread.withLock { $0.take() }
        if let thread { thread.join() }
        return true
    }

    func detach() {
        let thread = self.thread.withLock { $0.take() }
        if let thread { thread.detach() }
    }
}
