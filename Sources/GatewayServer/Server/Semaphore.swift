import GatewayIO
import Glibc

/// Lets one waiting thread go on for each signal.
final class Semaphore: Sendable {
    /// The address of what the C library keeps: it never moves, and goes with its owner.
    private let address: UInt

    init() {
        let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        // It fails for a number that is too large, and for nothing else.
        _ = unsafe sem_init(semaphore, 0, 0)
        address = UInt(bitPattern: semaphore)
    }

    deinit {
        guard let semaphore = unsafe semaphore else { return }
        _ = unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    private var semaphore: UnsafeMutablePointer<sem_t>? { unsafe UnsafeMutablePointer(bitPattern: address) }

    func signal() { if let semaphore = unsafe semaphore { _ = unsafe sem_post(semaphore) } }

    func wait() {
        guard let semaphore = unsafe semaphore else { return }
        while unsafe sem_wait(semaphore) != 0, Errno.last.code == EINTR {}
    }
}
