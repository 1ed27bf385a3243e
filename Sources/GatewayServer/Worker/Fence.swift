import Synchronization

/// Passed by every worker once it has ended the turn it was in: what it looked up before is counted or let go. Or by another
/// thread, when it is done with what it was asked for.
final class Fence: Sendable {
    private let missing: Atomic<Int>
    private let bell: ControlWaker

    init(passers: Int, bell: ControlWaker) {
        missing = Atomic(passers)
        self.bell = bell
    }

    var isPassed: Bool { missing.load(ordering: .acquiring) <= 0 }

    /// A worker, at the beginning of a turn; or whoever else was given it.
    func pass() {
        missing.subtract(1, ordering: .acquiringAndReleasing)
        bell.ring()
    }
}
