import GatewayIO

/// What the control thread sleeps on: descriptors, and the bell of the threads that do something for it.
///
/// Which descriptor woke it is not told: whatever is under way looks by itself, and costs nothing when there is nothing
/// to see.
final class ControlLoop {
    let bell: ControlWaker
    private let poller: Poller
    private let clock: () -> UInt64

    /// - Parameter clock: monotonic nanoseconds.
    init(clock: @escaping () -> UInt64) throws(Errno) {
        self.clock = clock
        bell = try ControlWaker()
        poller = try Poller()
        try poller.add(bell.waker.number, token: 0, interest: .readable)
    }

    /// Wakes the control thread as long as a descriptor is readable.
    func watch(_ number: Int32) throws(Errno) { try poller.add(number, token: 0, interest: .readable) }

    /// A descriptor that is closed is forgotten by itself.
    func forget(_ number: Int32) { try? poller.remove(number) }

    /// Returns when something happens, or at a time of the monotonic clock; nil = only when something happens.
    func sleep(until deadline: UInt64?) throws(Errno) {
        var pause: Int32?
        if let deadline {
            let now = clock()
            pause = deadline <= now ? 0 : Int32(clamping: (deadline - now) / 1_000_000 + 1)
        }
        _ = try poller.wait(milliseconds: pause)
        bell.waker.answer()
    }
}
