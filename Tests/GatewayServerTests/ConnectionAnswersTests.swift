import GatewayControl
import Testing

@testable import GatewayServer

@Suite("ConnectionAnswers: what processes say of their connections counts, and what they do not say is not waited for")
struct ConnectionAnswersTests {
    private static func row(_ id: UInt64, messages: UInt64 = 0, isCounted: Bool = true) -> ConnectionReport.Row {
        var row = ConnectionReport.Row(id: id, state: .open, ageMilliseconds: 0, idleMilliseconds: 0)
        (row.messagesIn, row.isCounted) = (messages, isCounted)
        return row
    }

    /// Connections that are away as far as the first process knows, beside one that is not.
    private static func findings(
        _ query: ConnectionQuery, away: [UInt64], of port: ObjectIdentifier
    ) -> ConnectionListing.Findings {
        var findings = ConnectionListing.Findings(query)
        findings.here.add(3, row(1, messages: 3))
        for id in away { findings.away.add(0, of: port, row(id, isCounted: false)) }
        findings.matched = away.count + 1
        return findings
    }

    private static func query(limit: Int) -> ConnectionQuery {
        var query = ConnectionQuery()
        (query.key, query.isDescending, query.limit) = (.messages, true, limit)
        return query
    }

    private final class Port {}

    @Test func `rows of a process stand where they belong`() {
        let (query, port) = (Self.query(limit: 2), Port())
        let answers = ConnectionAnswers(query)
        answers.await(7, of: "chat", ObjectIdentifier(port))
        #expect(!answers.isOver)
        answers.hear(ConnectionBatch(rows: [Self.row(5, messages: 9)], matched: 3), from: 7)
        #expect(!answers.isOver)
        answers.hear(ConnectionBatch(rows: [Self.row(9, messages: 2)], matched: 3, isLast: true), from: 7)
        #expect(answers.isOver && answers.silent.isEmpty)
        // 11 is not among those that it was to name.
        let findings = Self.findings(query, away: [5, 9, 11], of: ObjectIdentifier(port))
        let merged = answers.merged(with: findings, query)
        #expect(merged.shown.map(\.id) == [5, 1] && merged.shown.allSatisfy(\.isCounted))
        #expect(merged.entries.map(\.row.id).contains(11) == false)
    }

    @Test func `those of a process that does not answer are there without counts`() {
        let (query, port) = (Self.query(limit: 10), Port())
        let answers = ConnectionAnswers(query)
        answers.await(7, of: "chat", ObjectIdentifier(port))
        answers.await(8, of: "chat", ObjectIdentifier(port))
        answers.forget(8)
        answers.giveUp()
        #expect(answers.isOver && answers.silent == ["chat"])
        answers.hear(ConnectionBatch(rows: [Self.row(5, messages: 9)], matched: 1, isLast: true), from: 7)
        let shown = answers.merged(with: Self.findings(query, away: [5, 9], of: ObjectIdentifier(port)), query).shown
        #expect(shown.map(\.id) == [1, 5, 9] && shown.map(\.isCounted) == [true, false, false])
    }

    @Test func `a process names no more than it was asked for`() {
        let (query, port) = (Self.query(limit: 3), Port())
        let answers = ConnectionAnswers(query)
        answers.await(7, of: "chat", ObjectIdentifier(port))
        for start in stride(from: UInt64(101), to: 131, by: 2) {
            answers.hear(ConnectionBatch(rows: [Self.row(start), Self.row(start + 200)], matched: 30), from: 7)
        }
        #expect(answers.merged(with: ConnectionListing.Findings(query), query).entries.count == 3)
    }
}
