import GatewayControl
import GatewayIO
import Glibc
import Testing

@testable import GatewayServer

/// Answers with every field set.
enum AnswerSamples {
    static var row: ConnectionReport.Row {
        var row = ConnectionReport.Row(id: .max, state: .closing, ageMilliseconds: 1 << 40, idleMilliseconds: 7)
        (row.peer, row.route, row.handler, row.generation) = ("[::1]:5", "a.example/chät", "chat", 12)
        (row.messagesIn, row.messagesOut, row.bytesIn, row.bytesOut) = (1, 2, 3, .max)
        (row.queued, row.tls, row.subprotocol) = (9, "TLSv1.3", "v1")
        return row
    }

    static var connections: ProcessAnswer {
        let plain = ConnectionReport.Row(id: 1, state: .request, ageMilliseconds: 0, idleMilliseconds: 0)
        let batch = ConnectionBatch(rows: [row, plain], matched: 5, isLast: true, isSilent: true)
        return ProcessAnswer(question: 4, subject: .connections(batch))
    }

    static let events: [TraceRecord.Event] = [
        .received(.init(head: 0x81, length: 4, isText: true, inflatedLength: 7, payload: Array("h\u{1B}i".utf8))),
        .sent(.init(head: 0x02, length: 1 << 40, isText: false, payload: [0, 255])),
        .opened(peer: "127.0.0.1:1", route: "/chat"), .opened(peer: nil, route: "/chat"),
        .closed(code: 1006, by: "transport"), .violation("a frame is not masked"),
    ]

    static var trace: ProcessAnswer {
        let records = events.map { TraceRecord(nanoseconds: 1 << 50, connection: .max, event: $0) }
        let batch = TraceBatch(records: records, dropped: 8, found: 3, isOver: true)
        return ProcessAnswer(question: .max, subject: .trace(batch))
    }
}

@Suite("ProcessAnswer: what a process says of its connections comes over, and nothing else is believed")
struct ProcessAnswerTests {
    private static func copy(_ answer: ProcessAnswer) throws -> ProcessAnswer {
        var writer = MessageFieldWriter()
        answer.put(&writer)
        return try ProcessAnswer(MessageFieldReader(writer.bytes[...], of: "answer"))
    }

    @Test func `rows come over with all that they say`() throws {
        guard case .connections(let batch) = try Self.copy(AnswerSamples.connections).subject else {
            throw Errno(EBADMSG)
        }
        #expect(batch.matched == 5 && batch.isLast && batch.isSilent)
        #expect("\(batch.rows[0])" == "\(AnswerSamples.row)")
        #expect(batch.rows[1].generation == nil && batch.rows[1].peer == nil && batch.rows[1].state == .request)
    }

    @Test func `records come over with all that they say`() throws {
        guard case .trace(let batch) = try Self.copy(AnswerSamples.trace).subject else { throw Errno(EBADMSG) }
        #expect(batch.dropped == 8 && batch.found == 3 && batch.isOver)
        #expect(batch.records.map { "\($0.event)" } == AnswerSamples.events.map { "\($0)" })
        #expect(batch.records.allSatisfy { $0.nanoseconds == 1 << 50 && $0.connection == .max })
    }

    @Test func `nothing gets to a terminal that has no place there`() throws {
        for text in ["a\u{1B}[2J", "a\nb", "a\u{7F}", "a\u{9B}2J"] {
            var row = AnswerSamples.row
            row.subprotocol = text
            let answer = ProcessAnswer(question: 1, subject: .connections(ConnectionBatch(rows: [row])))
            #expect(throws: SuccessionFailure.self) { _ = try Self.copy(answer) }
            let record = TraceRecord(nanoseconds: 1, connection: 1, event: .violation(text))
            #expect(throws: SuccessionFailure.self) {
                _ = try Self.copy(ProcessAnswer(question: 1, subject: .trace(TraceBatch(records: [record]))))
            }
        }
    }
}
