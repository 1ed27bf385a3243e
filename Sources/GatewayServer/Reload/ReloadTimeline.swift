import GatewayControl
import GatewayIO
import HandlerModules

/// The last reloads, rollbacks and readings of the configuration, for whoever opens the dashboard later. It belongs to
/// the control thread.
final class ReloadTimeline {
    /// How many are remembered.
    static let most = 100

    private struct Record {
        var entry: TimelineEntry
        /// Whose counts go on while it is the last one of its handler.
        weak var reload: Reload?
        /// `changes` when it last changed.
        var changedAt: UInt64
    }

    private var records: [Record] = []
    private var nextNumber: UInt64 = 1
    /// How many things have changed so far.
    private(set) var changes: UInt64 = 0

    private func append(
        _ kind: TimelineEntry.Kind, _ handler: String?, _ result: TimelineEntry.Result, before: UInt64? = nil,
        after: UInt64? = nil, _ report: StatusReport.Reload, reload: Reload? = nil
    ) {
        let entry = TimelineEntry(
            number: nextNumber, kind: kind, handler: handler, result: result, before: before, after: after,
            reload: report)
        nextNumber += 1
        changes += 1
        records.append(Record(entry: entry, reload: reload, changedAt: changes))
        if records.count > Self.most { records.removeFirst() }
    }

    /// A reload has come to its outcome, which is news.
    func note(_ outcome: ReloadOutcome, of reload: Reload) {
        // Whoever asks for everything is not told about each handler that nobody has touched.
        if outcome.isPlainlyUnchanged, !reload.isExplicit { return }
        let service = reload.service
        let serving = service.serving?.generation.number
        let isFirst = outcome.cause == HandlerManager.startCause
        let kind: TimelineEntry.Kind = isFirst ? .start : reload.kind == .rollback ? .rollback : .reload
        let isSwitched = outcome.result == .switched
        append(
            kind, service.name, .init(outcome.result),
            before: isSwitched ? reload.replaced?.generation.number : serving, after: serving,
            StatusReport.Reload(outcome, service, reload), reload: reload)
    }

    /// The configuration was read again; what became of each handler has an entry of its own.
    ///
    /// - Parameter isChange: something is different since.
    func note(_ reading: StatusReport.ConfigurationReload, isChange: Bool, cause: String, milliseconds: UInt64) {
        append(
            .configuration, nil, !reading.isAccepted ? .refused : isChange ? .switched : .unchanged,
            StatusReport.Reload(
                at: reading.at, cause: cause, isAccepted: reading.isAccepted, outcome: reading.outcome,
                milliseconds: milliseconds))
    }

    /// What has changed since there were so many changes, oldest first: counts of moved and draining connections go on
    /// after the outcome.
    func entries(since known: UInt64) -> [TimelineEntry] {
        for index in records.indices {
            guard let reload = records[index].reload else { continue }
            let service = reload.service
            // The connections that drain belong to the last one; a later one takes them over.
            let draining = service.latest === reload ? service.draining : 0
            var report = records[index].entry.reload
            (report.moved, report.refused) = (max(report.moved, reload.moved), max(report.refused, reload.refused))
            (report.closed, report.draining) = (reload.closed, draining)
            guard report != records[index].entry.reload else { continue }
            changes += 1
            records[index].entry.reload = report
            records[index].changedAt = changes
        }
        return records.filter { $0.changedAt > known }.map(\.entry)
    }
}

extension TimelineEntry.Result {
    fileprivate init(_ result: ReloadOutcome.Result) {
        switch result {
        case .switched: self = .switched
        case .unchanged: self = .unchanged
        case .refused: self = .refused
        }
    }
}
