import GatewayControl

/// What the first process has asked this one, the process of a handler. It belongs to the control thread.
final class AskedQuestions {
    private struct Listing {
        let number: UInt64
        let listing: ConnectionListing
        let deadline: UInt64
        /// What is still to be said, once all is known.
        var answer: ConnectionBatch?
    }

    private struct Trace {
        let number: UInt64
        let tracer: Tracer
        var hasStarted = false
    }

    /// Rows of one answer.
    private static let rowsAtOnce = 256
    /// How long workers may take for a listing: less than the first process waits.
    private static let patience: UInt64 = 1_000_000_000

    private var listings: [Listing] = []
    private var traces: [Trace] = []

    /// When an answer is due even if no worker has news.
    var deadline: UInt64? { listings.filter { $0.answer == nil }.map(\.deadline).min() }

    // MARK: Questions

    /// - Parameter line: as over the control socket.
    func begin(_ number: UInt64, _ line: String, _ server: Server) {
        let (ports, bell) = (server.context.ports, server.loop.bell)
        switch try? ControlCommand(line: line.utf8) {
        case .connections(let query)?:
            let listing = ConnectionListing(query, for: number, workers: ports.count, bell: bell)
            let deadline = server.context.clock() &+ Self.patience
            listings.append(Listing(number: number, listing: listing, deadline: deadline))
            for port in ports { port.post(.list(listing)) }
        case .trace(let query)?:
            let tracer = Tracer(query, for: number, workers: ports.count, bell: bell)
            traces.append(Trace(number: number, tracer: tracer))
            for port in ports { port.post(.trace(tracer, from: 0, found: 0)) }
        default: server.log.error("the first process asks for what is not known here: \(line)")
        }
    }

    /// Nobody waits for the answer.
    func end(_ number: UInt64, _ server: Server) {
        for each in listings where each.number == number { each.listing.abandon() }
        listings.removeAll { $0.number == number }
        for each in traces where each.number == number {
            for port in server.context.ports { port.post(.endTrace(each.tracer, from: 0)) }
        }
        traces.removeAll { $0.number == number }
    }

    // MARK: Answers

    /// A part of what is to be said; nil when there is nothing just now.
    func next(_ now: UInt64) -> ProcessAnswer? {
        for index in listings.indices {
            guard let batch = next(of: &listings[index], now) else { continue }
            let number = listings[index].number
            if batch.isLast { listings.remove(at: index) }
            return ProcessAnswer(question: number, subject: .connections(batch))
        }
        for index in traces.indices {
            guard let batch = next(of: &traces[index]) else { continue }
            return ProcessAnswer(question: traces[index].number, subject: .trace(batch))
        }
        return nil
    }

    private func next(of asked: inout Listing, _ now: UInt64) -> ConnectionBatch? {
        if asked.answer == nil {
            guard asked.listing.isOver || now >= asked.deadline else { return nil }
            let findings = asked.listing.findings()
            asked.listing.abandon()
            asked.answer = ConnectionBatch(
                rows: findings.here.shown, matched: UInt64(findings.matched), isSilent: !findings.silent.isEmpty)
        }
        guard var batch = asked.answer else { return nil }
        let rest = batch.rows.count - Self.rowsAtOnce
        if rest > 0 { asked.answer?.rows.removeLast(Self.rowsAtOnce) }
        batch.rows = Array(batch.rows.suffix(Self.rowsAtOnce))
        batch.isLast = rest <= 0
        return batch
    }

    private func next(of asked: inout Trace) -> TraceBatch? {
        var batch = TraceBatch()
        if !asked.hasStarted, let found = asked.tracer.connections {
            asked.hasStarted = true
            batch.found = UInt64(found)
        }
        // Looked at first: what came before the end is taken behind that.
        let isOver = asked.tracer.takeEnd()
        let (records, dropped) = asked.tracer.take()
        (batch.records, batch.dropped, batch.isOver) = (records, UInt64(dropped), isOver)
        return records.isEmpty && dropped == 0 && batch.found == nil && !isOver ? nil : batch
    }
}
