import GatewayIO
import GatewayMetrics
import Synchronization

/// How long a worker takes to come to something that is asked of it: the control thread asks every second, in the
/// worker's mailbox, and only where somebody may want to know.
final class LoopLag: Sendable {
    static let interval: UInt64 = 1_000_000_000

    private let histogram = DurationHistogram(.callback)
    /// When the question was asked that has not been answered; 0 for none.
    private let askedAt = Atomic<UInt64>(0)

    /// Control thread.
    ///
    /// - Returns: whether the question is to be sent: there is none under way.
    func ask(at now: UInt64) -> Bool {
        askedAt.compareExchange(expected: 0, desired: max(1, now), ordering: .relaxed).exchanged
    }

    /// The worker.
    func answer(at now: UInt64) {
        let asked = askedAt.load(ordering: .relaxed)
        histogram.observe(nanoseconds: now > asked ? now - asked : 0)
        askedAt.store(0, ordering: .relaxed)
    }

    var reading: HistogramReading { histogram.reading }

    /// For how long an answer has been waited for, in seconds.
    func waiting(at now: UInt64) -> Double {
        let asked = askedAt.load(ordering: .relaxed)
        return asked == 0 || now <= asked ? 0 : Double(now - asked) / 1e9
    }
}
