import Synchronization

/// Passed when each link has done what was asked of it before.
final class LinkFence: Sendable {
    private let missing: Atomic<Int>
    private let done: @Sendable () -> Void

    /// - Parameter done: called on the thread of a link.
    init(_ links: Int, _ done: @escaping @Sendable () -> Void) {
        missing = Atomic(links)
        self.done = done
    }

    /// The thread of a link.
    func pass() { if missing.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { done() } }
}
