import CLinux
import Glibc

/// Wakes a thread out of its poller from any other thread.
///
/// The descriptor is registered as readable with the thread's poller. Ringing twice before the thread has answered is
/// one wake-up; a sender that fills a mailbox beside it rings only when the mailbox was empty.
public struct Waker: ~Copyable, Sendable {
    private let descriptor: FileDescriptor

    public init() throws(Errno) {
        let number = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard number >= 0 else { throw Errno.last }
        descriptor = FileDescriptor(adopting: number)
    }

    /// For registration with the poller of the thread to be woken.
    public var number: Int32 { descriptor.number }

    /// Any thread. A full counter means that a wake-up is on its way already, so nothing can be lost.
    public func ring() { _ = eventfd_write(descriptor.number, 1) }

    /// The woken thread: takes the ringing back.
    public func answer() {
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(descriptor.number, &count)
    }
}
