/// How a run went over time: messages and the worst latency of each span of it.
package struct Timeline: Sendable {
    package struct Bucket: Equatable, Sendable {
        package var messages = 0
        /// Nanoseconds.
        package var worst: UInt64 = 0
    }

    package let milliseconds: Int
    package private(set) var buckets: [Bucket] = []
    private let begin: UInt64
    /// What comes later counts in the last one.
    private static let most = 1_000_000

    package init(milliseconds: Int, begin: UInt64) {
        self.milliseconds = milliseconds
        self.begin = begin
    }

    package mutating func add(_ latency: UInt64, now: UInt64) {
        guard now >= begin else { return }
        let width = UInt64(milliseconds) &* 1_000_000
        let index = Int(min((now - begin) / width, UInt64(Self.most - 1)))
        while buckets.count <= index { buckets.append(Bucket()) }
        buckets[index].messages &+= 1
        buckets[index].worst = max(buckets[index].worst, latency)
    }
}
