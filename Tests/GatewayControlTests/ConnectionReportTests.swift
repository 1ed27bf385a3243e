import GatewayControl
import Testing

@Suite("gateway connections: a table and an object")
struct ConnectionReportTests {
    private var row: ConnectionReport.Row {
        var row = ConnectionReport.Row(id: 0x1F, state: .open, ageMilliseconds: 3_723_000, idleMilliseconds: 400)
        (row.peer, row.route, row.handler, row.generation) = ("127.0.0.1:5", "/chat", "chat", 2)
        (row.messagesIn, row.messagesOut, row.bytesIn, row.bytesOut, row.queued) = (1, 2, 9999, 20_480, 5 << 20)
        return row
    }

    private func report(
        _ rows: [ConnectionReport.Row], matched: Int? = nil, silent: [Int] = [], form: ControlCommand.Form = .text
    ) -> ControlAnswer {
        var query = ConnectionQuery()
        query.form = form
        return ConnectionReport(query, rows: rows, matched: matched ?? rows.count, silent: silent).answer
    }

    @Test func `a table with aligned columns, and none that nobody needs`() {
        let closing = ConnectionReport.Row(id: 2, state: .request, ageMilliseconds: 0, idleMilliseconds: 0)
        #expect(
            report([row, closing]).text == """
                ID  PEER         ROUTE  HANDLER  GEN  STATE     AGE  IDLE  IN  OUT  BYTES IN  BYTES OUT  QUEUE
                1f  127.0.0.1:5  /chat  chat       2  open     1h2m  0.4s   1    2      9999        20k   5.0m
                2   -            -      -          -  request  0.0s  0.0s   0    0         0          0      0

                """)
        var secure = row
        (secure.tls, secure.subprotocol) = ("TLSv1.3", "chat.v1\u{1B}[31m")
        let text = report([secure]).text
        #expect(text.contains("QUEUE  TLS      SUBPROTOCOL\n"))
        #expect(text.contains("  TLSv1.3  chat.v1\\u{1b}[31m\n"))
    }

    @Test func `what is not shown is said`() {
        #expect(report([]).text == "no connections\n")
        #expect(report([row], matched: 12).text.hasSuffix("\n1 of 12 connections are shown; --limit N shows more\n"))
        let answer = report([row], silent: [1])
        #expect(answer.exit == 1)
        #expect(answer.text.contains("\nworker 1 did not answer in time: its connections are missing."))
    }

    @Test func `an object of one line`() {
        #expect(
            report([row], matched: 2, silent: [0], form: .json).text
                == #"{"matched":2,"silent_workers":[0],"connections":[{"id":"1f","state":"open","peer":"127.0.0.1:5","#
                + #""route":"/chat","handler":"chat","generation":2,"age_ms":3723000,"idle_ms":400,"messages_in":1,"#
                + #""messages_out":2,"bytes_in":9999,"bytes_out":20480,"queued_bytes":5242880,"tls":null,"#
                + #""subprotocol":null}]}"#)
        #expect(report([], form: .json).text == #"{"matched":0,"connections":[]}"#)
    }
}
