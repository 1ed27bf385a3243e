import GatewayConfiguration
import Testing

@testable import GatewayServer

@Suite("Lines of both logs, as text and as JSON")
struct AccessRecordTests {
    private var record: AccessRecord {
        var record = AccessRecord(event: .close)
        record.id = 0x1F
        record.peer = "[::1]:5"
        record.path = "/a\"b\\c\n\u{1b}[31m"
        record.code = 1000
        record.by = "peer"
        record.traffic = AccessRecord.Traffic(messagesIn: 1, messagesOut: 2, bytesIn: 3, bytesOut: 4)
        return record
    }

    @Test func `a record as text is one line, whatever strangers write`() {
        #expect(
            record.text(.text, at: "T")
                == #"T access: close id=1f peer=[::1]:5 path="/a\"b\\c\u{a}\u{1b}[31m" code=1000 by=peer messages_in=1"#
                + " messages_out=2 bytes_in=3 bytes_out=4")
    }

    @Test func `a record as JSON is one object`() {
        #expect(
            record.text(.json, at: "T")
                == #"{"time":"T","event":"close","id":"1f","peer":"[::1]:5","path":"/a\"b\\c\n\u001b[31m","code":1000,"#
                + #""by":"peer","messages_in":1,"messages_out":2,"bytes_in":3,"bytes_out":4}"#)
    }

    @Test func `a message of several lines is one record, and indented as text`() {
        var line = LogLine(time: "T", level: .warn, message: "one\ntwo\u{7}")
        line.subject = LogLine.Subject(handler: "chat", generation: 2, route: "/chat", connection: 0x1F)
        #expect(line.text(.text) == "T warning: one\n   two\\u{7}")
        #expect(
            line.text(.json)
                == #"{"time":"T","level":"warning","message":"one\ntwo\u0007","handler":"chat","generation":2,"#
                + #""route":"/chat","id":"1f"}"#)
    }

    @Test func `times have milliseconds and their zone`() {
        #expect(LogTime.text(seconds: 1_769_903_999, milliseconds: 7) == "2026-01-31T23:59:59.007Z")
        #expect(LogTime.text(seconds: 0, milliseconds: 120) == "1970-01-01T00:00:00.120Z")
        #expect(LogTime.now().count == 24)
    }
}
