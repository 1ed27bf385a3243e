import GatewayControl
import Glibc

/// What processes of handlers say of their connections, for one listing. It belongs to the control thread.
final class ConnectionAnswers {
    private struct Waiting {
        let handler: String
        let port: ObjectIdentifier
        var rows = 0
    }

    private let limit: Int
    private var waiting: [pid_t: Waiting] = [:]
    private var rows: [UInt64: ConnectionReport.Row] = [:]
    /// Ports whose processes have more connections than they were to name.
    private var longer: Set<ObjectIdentifier> = []
    /// Handlers whose processes have not said all in time.
    private(set) var silent: [String] = []

    init(_ query: ConnectionQuery) { limit = query.limit }

    /// Every process that was asked has answered, or is waited for no longer.
    var isOver: Bool { waiting.isEmpty }

    func await(_ process: pid_t, of handler: String, _ port: ObjectIdentifier) {
        waiting[process] = Waiting(handler: handler, port: port)
    }

    func hear(_ batch: ConnectionBatch, from process: pid_t) {
        guard var asked = waiting[process] else { return }
        for row in batch.rows.prefix(limit - asked.rows) { rows[row.id] = row }
        asked.rows += min(batch.rows.count, limit - asked.rows)
        waiting[process] = batch.isLast ? nil : asked
        guard batch.isLast else { return }
        if batch.matched > UInt64(asked.rows) { longer.insert(asked.port) }
        if batch.isSilent { note(silent: asked.handler) }
    }

    /// The process has gone, and its connections wait for another one.
    func forget(_ process: pid_t) { waiting[process] = nil }

    /// Time is up.
    func giveUp() {
        for each in waiting.values { note(silent: each.handler) }
        waiting = [:]
    }

    private func note(silent handler: String) { if !silent.contains(handler) { silent.append(handler) } }

    /// What the processes say of a connection counts; what is known here is that of those that they do not speak of.
    func merged(with findings: ConnectionListing.Findings, _ query: ConnectionQuery) -> RankedRows {
        var merged = RankedRows(query)
        var relayed: [UInt64: UInt64] = [:]
        for each in findings.here.entries where rows[each.row.id] == nil { merged.add(each.rank, each.row) }
        for each in findings.away.entries {
            if rows[each.row.id] != nil {
                relayed[each.row.id] = each.row.queued
            } else if each.port.map({ !longer.contains($0) }) ?? true {
                merged.add(each.rank, each.row)
            }
        }
        for var row in rows.values {
            // What the process has said to a peer over TLS may wait here.
            row.queued &+= relayed[row.id] ?? 0
            merged.add(row.rank(by: query.key), row)
        }
        return merged
    }
}
