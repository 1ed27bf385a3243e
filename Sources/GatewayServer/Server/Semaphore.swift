import Bytes
import GatewayIO
import Glibc

/// Lets one waiting thread go on for each signal.
@safe final class Semaphore: Sendable {
    /// What the C library keeps, which any thread may wait for: it never moves, and goes with its owner.
    private let semaphore: SendablePointer<UnsafeMutablePointer<sem_t>>

    init() {
        unsafe semaphore = SendablePointer(UnsafeMutablePointer<sem_t>.allocate(capacity: 1))
        // `sem_init` fails for a number that is too large, and for nothing else.
        _ = unsafe sem_init(semaphore.pointer, 0, 0)
    }

    deinit {
        _ = unsafe sem_destroy(semaphore.pointer)
        unsafe semaphore.pointer.deallocate()
    }

    func signal() { _ = unsafe sem_post(semaphore.pointer) }

    func wait() {
        while unsafe sem_wait(semaphore.pointer) != 0, Errno.last.code == EINTR {}
    }
}
