import GatewayConfiguration

/// When each of many keys may ask again, in memory that is fixed however many ask.
///
/// A key's entry says until when its allowance is used up: the generic cell rate algorithm of ATM, a bucket of tokens in
/// one number. An entry that is over says nothing and is as good as none. Each key has a few places where its entry can
/// be; when all are taken, the one whose allowance is soonest whole again is forgotten, so that a flood of fresh keys
/// pushes out one another and not those that have asked too often.
struct RateTable<Key: Hashable> {
    private struct Entry {
        let key: Key
        /// Nanoseconds of the clock at which the whole allowance is there again.
        var wholeAt: UInt64
    }

    /// Places for a key.
    private static var ways: Int { 8 }

    private let sets: Int
    /// Made when the first key asks.
    private var entries: [Entry?] = []

    /// - Parameter sets: how many times eight entries there are.
    init(sets: Int = 4096) { self.sets = max(1, sets) }

    /// Places in use or not.
    var capacity: Int { sets * Self.ways }

    /// A key asks.
    ///
    /// - Returns: nil when it may; else how many nanoseconds it has to wait until it would.
    mutating func ask(_ key: Key, _ rate: HandshakeRate, now: UInt64) -> UInt64? {
        if entries.isEmpty { entries = Array(repeating: nil, count: capacity) }
        let place = place(of: key, now: now)
        let interval = max(1, UInt64(rate.seconds) * 1_000_000_000 / UInt64(rate.count))
        let known = entries[place].flatMap { $0.key == key ? $0.wholeAt : nil } ?? 0
        let wholeAt = max(known, now)
        // Bounded by the configuration: a million times an hour is below 2^62.
        let allowance = interval * UInt64(rate.burst - 1)
        if wholeAt - now > allowance { return wholeAt - now - allowance }
        entries[place] = Entry(key: key, wholeAt: wholeAt + interval)
        return nil
    }

    /// Where the entry of a key is, or goes.
    private func place(of key: Key, now: UInt64) -> Int {
        // Seeded anew in each process, so nobody can choose keys that share their places.
        let first = Int(truncatingIfNeeded: UInt(bitPattern: key.hashValue) % UInt(sets)) * Self.ways
        var best = first
        var soonest = UInt64.max
        for place in first..<(first + Self.ways) {
            guard let entry = entries[place] else { return place }
            if entry.key == key { return place }
            if entry.wholeAt < soonest { (best, soonest) = (place, entry.wholeAt) }
        }
        return best
    }
}
