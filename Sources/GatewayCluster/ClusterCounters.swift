import Synchronization

/// What is counted of all engines together. Any thread.
final class ClusterCounters: Sendable {
    let sent = Atomic<UInt64>(0)
    let received = Atomic<UInt64>(0)
    let lost = Atomic<UInt64>(0)
    let rejected = Atomic<UInt64>(0)
    let gaps = Atomic<UInt64>(0)
    let lag = Atomic<UInt64>(0)

    var counts: ClusterCounts {
        var counts = ClusterCounts()
        counts.sent = sent.load(ordering: .relaxed)
        counts.received = received.load(ordering: .relaxed)
        counts.lost = lost.load(ordering: .relaxed)
        counts.rejected = rejected.load(ordering: .relaxed)
        counts.gaps = gaps.load(ordering: .relaxed)
        counts.lagMicroseconds = lag.load(ordering: .relaxed)
        return counts
    }
}
