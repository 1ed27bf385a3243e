import GatewayIO
import Synchronization

/// `max_memory`: what the buffers of all connections hold, added up from what each worker finds, and whether that is too
/// much. Any thread.
final class MemoryBudget: Sendable {
    /// What a worker has found.
    struct Share: Equatable {
        /// Of connections that are open, or not open yet.
        var held = 0
        /// Of connections that are on their way out.
        var leaving = 0
    }

    private let log: Log
    private let held = Atomic<Int>(0)
    private let leaving = Atomic<Int>(0)
    /// More is held than may be: new peers hear 503.
    let isExceeded = Atomic(false)
    /// Requests that heard 503 over it, and connections that were closed over it.
    let refused = Atomic<Int>(0)
    let shed = Atomic<Int>(0)

    /// The counts when it was exceeded last.
    private struct Episode {
        var began: UInt64 = 0
        var refused = 0
        var shed = 0
    }

    private let episode = Mutex(Episode())

    init(_ log: Log) { self.log = log }

    /// Bytes in the buffers of all connections, as found last.
    var total: Int { held.load(ordering: .relaxed) + leaving.load(ordering: .relaxed) }

    /// A worker has counted again.
    ///
    /// - Returns: how many bytes it should free.
    func note(_ share: Share, before: Share, most: Int?, now: UInt64) -> Int {
        let all = held.add(share.held - before.held, ordering: .relaxed).newValue
        let ending = leaving.add(share.leaving - before.leaving, ordering: .relaxed).newValue
        guard let most, all + ending > most else {
            if isExceeded.exchange(false, ordering: .relaxed) { tellEnd(most, now) }
            return 0
        }
        if !isExceeded.exchange(true, ordering: .relaxed) { tellBegin(all + ending, most, now) }
        // What is on its way out is freed without more being shed.
        let excess = all - most
        guard excess > 0, share.held > 0 else { return 0 }
        // Each worker its part of it.
        return Int((Double(excess) * Double(share.held) / Double(all)).rounded(.up))
    }

    private func tellBegin(_ total: Int, _ most: Int, _ now: UInt64) {
        let counts = Episode(
            began: now, refused: refused.load(ordering: .relaxed), shed: shed.load(ordering: .relaxed))
        episode.withLock { $0 = counts }
        log.warn(
            "max_memory: the buffers of connections hold \(total) bytes, more than \(most): new requests are answered 503,"
                + " and the connections that hold most are closed (1013)")
    }

    private func tellEnd(_ most: Int?, _ now: UInt64) {
        let before = episode.withLock { $0 }
        log.info(
            "max_memory: the buffers of connections hold \(total) bytes again after \((now - before.began) / 1_000_000) ms;"
                + " meanwhile \(refused.load(ordering: .relaxed) - before.refused) requests were answered 503 and"
                + " \(shed.load(ordering: .relaxed) - before.shed) connections were closed")
    }
}
