import CLinux
import Glibc

/// A thread of the operating system with a name, to be joined by the thread that started it.
public struct SystemThread: ~Copyable, @unchecked Sendable {
    // @unchecked: a pthread_t is a number to the C library, which lets any thread join it.
    private let handle: pthread_t

    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void

        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Starts a thread; it inherits the signal mask of the caller.
    public init(name: String, _ run: @escaping @Sendable () -> Void) throws(Errno) {
        let body = unsafe Unmanaged.passRetained(Body(name: name, run: run))
        var handle = pthread_t()
        let code = unsafe pthread_create(
            &handle, nil,
            { context in
                guard let context = unsafe context else { return nil }
                let body = unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
                unsafe clinux_name_thread(body.name)
                body.run()
                return nil
            }, body.toOpaque())
        guard code == 0 else {
            unsafe body.release()
            throw Errno(code)
        }
        self.handle = handle
    }

    /// Lets the thread run on its own; it will not be joined.
    public consuming func detach() { pthread_detach(handle) }

    /// Waits until the thread has ended.
    public consuming func join() { pthread_join(handle, nil) }
}
