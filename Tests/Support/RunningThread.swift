import Glibc

/// A thread of the system that somebody waits for: what blocks must not hold up the tasks of other tests.
package struct RunningThread: ~Copyable {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let thread: pthread_t

    package init(_ body: @escaping @Sendable () -> Void) {
        let context = Unmanaged.passRetained(Body(body)).toOpaque()
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context)
        precondition(failure == 0, "no thread: error \(failure)")
        self.thread = thread
    }

    /// Waits for its end.
    package consuming func join() { pthread_join(thread, nil) }
}

/// Runs the body in so many threads at once and waits for all of them.
package func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let threads = (0..<count).map { index in Box(RunningThread { body(index) }) }
    for box in threads { box.join() }
}

/// Keeps a thread in an array.
private final class Box {
    private var thread: RunningThread?
    init(_ thread: consuming RunningThread) { self.thread = consume thread }
    func join() { thread.take()?.join() }
}
