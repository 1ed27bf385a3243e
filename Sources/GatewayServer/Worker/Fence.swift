import Synchronization

/// Passed by every worker once it has ended the turn it was in: what it looked up before is counted or let go.
final class Fence: Sendable {
    private let missing: Atomic<Int>
    private let bell: ControlWaker

    init(workers: Int, bell: ControlWaker) {
        missing = Atomic(workers)
        self.bell = bell
    }

    var isPassed: Bool { missing.load(ordering: .acquiring) <= 0 }

    /// Worker, at the beginning of a turn.
    func pass() {
        missing.subtract(1, ordering: .acquiringAndReleasing)
        bell.ring()
    }
}
