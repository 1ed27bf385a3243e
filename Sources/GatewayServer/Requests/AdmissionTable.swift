import GatewayConfiguration
import Synchronization

/// How many connections each address has, and how often it has asked for one, over all workers. Any thread.
///
/// It is asked once for each opening handshake, and only where `max_connections_per_ip` or `handshake_rate` is set, so
/// one lock is enough. Counts are there only for addresses that have connections; rates have memory of a fixed size.
final class AdmissionTable: Sendable {
    /// An address in the gateway as a whole, or at a route.
    struct Key: Hashable, Sendable {
        /// 0 for the gateway.
        let scope: Int
        /// As far as it is one subscriber's.
        let address: NetworkAddress
    }

    private struct Knowledge {
        var counts: [Key: Int] = [:]
        var rates = RateTable<Key>()
    }

    private let knowledge = Mutex(Knowledge())

    /// A handshake of an address.
    ///
    /// - Returns: nil when it is not one too many; else how many seconds are to pass until the next one.
    func knock(_ key: Key, _ rate: HandshakeRate, now: UInt64) -> Int? {
        let wait = knowledge.withLock { $0.rates.ask(key, rate, now: now) }
        return wait.map { Int(clamping: ($0 + 999_999_999) / 1_000_000_000) }
    }

    /// Counts a connection of an address, unless it has so many already.
    fileprivate func enter(_ key: Key, most: Int) -> Bool {
        knowledge.withLock { knowledge in
            let count = knowledge.counts[key, default: 0]
            guard count < most else { return false }
            knowledge.counts[key] = count + 1
            return true
        }
    }

    /// Counts a connection of an address that has been admitted elsewhere.
    fileprivate func add(_ key: Key) { knowledge.withLock { $0.counts[key, default: 0] += 1 } }

    fileprivate func leave(_ key: Key) {
        knowledge.withLock { knowledge in
            let count = knowledge.counts[key, default: 0] - 1
            knowledge.counts[key] = count > 0 ? count : nil
        }
    }

    /// Addresses that have connections.
    var addresses: Int { knowledge.withLock { $0.counts.count } }
}

/// A connection that has been counted; with the ticket it is not any more.
final class AdmissionTicket {
    private let table: AdmissionTable
    private let keys: [AdmissionTable.Key]

    /// Counts it wherever there is a limit.
    ///
    /// - Returns: nil when one of them is reached.
    init?(_ table: AdmissionTable, _ limits: [(key: AdmissionTable.Key, most: Int)]) {
        var keys: [AdmissionTable.Key] = []
        for (key, most) in limits {
            guard table.enter(key, most: most) else {
                for key in keys { table.leave(key) }
                return nil
            }
            keys.append(key)
        }
        self.table = table
        self.keys = keys
    }

    /// Counts one that has been admitted elsewhere, be it more than there may be.
    init(_ table: AdmissionTable, resuming keys: [AdmissionTable.Key]) {
        for key in keys { table.add(key) }
        self.table = table
        self.keys = keys
    }

    deinit { for key in keys { table.leave(key) } }
}
