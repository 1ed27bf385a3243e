import GatewayControl

/// Rows of a listing: those that rank first, and for a while a few more, whatever comes.
struct RankedRows {
    struct Entry {
        let rank: UInt64
        let row: ConnectionReport.Row
        /// The port of the process that has the connection; nil where none does.
        let port: ObjectIdentifier?
    }

    private(set) var entries: [Entry] = []
    private let query: ConnectionQuery
    /// Once there are enough: what ranks behind it is not shown.
    private var worst: UInt64?

    init(_ query: ConnectionQuery) { self.query = query }

    /// - Parameter row: made only where it may be shown.
    mutating func add(_ rank: UInt64, of port: ObjectIdentifier? = nil, _ row: @autoclosure () -> ConnectionReport.Row)
    {
        if let worst, query.isDescending ? rank <= worst : rank >= worst { return }
        entries.append(Entry(rank: rank, row: row(), port: port))
        guard entries.count >= 2 * query.limit else { return }
        sort()
        entries.removeLast(entries.count - query.limit)
        worst = entries.last?.rank
    }

    mutating func add(_ others: RankedRows) {
        for each in others.entries { add(each.rank, of: each.port, each.row) }
    }

    private mutating func sort() {
        entries.sort { left, right in
            if left.rank == right.rank { return left.row.id < right.row.id }
            return query.isDescending ? left.rank > right.rank : left.rank < right.rank
        }
    }

    /// As many as are shown, in their order.
    var shown: [ConnectionReport.Row] {
        var copy = self
        copy.sort()
        return copy.entries.prefix(query.limit).map(\.row)
    }
}

extension ConnectionReport.Row {
    func rank(by key: ConnectionQuery.Key) -> UInt64 {
        switch key {
        case .age: ageMilliseconds
        case .idle: idleMilliseconds
        case .messages: messagesIn &+ messagesOut
        case .bytes: bytesIn &+ bytesOut
        case .queue: queued
        }
    }
}
