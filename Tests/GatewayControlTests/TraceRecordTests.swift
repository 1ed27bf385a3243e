import GatewayControl
import Testing

@Suite("gateway trace: a line for each frame")
struct TraceRecordTests {
    private func line(_ event: TraceRecord.Event, _ adjust: (inout TraceQuery) -> Void = { _ in }) -> String {
        var query = TraceQuery(.route("/a"))
        adjust(&query)
        return TraceWriter(query).line(TraceRecord(nanoseconds: 0, connection: 0x1F, event: event), at: "T")
    }

    private func frame(
        _ head: UInt8, _ payload: [UInt8], length: Int? = nil, isText: Bool = false, inflated: Int? = nil
    ) -> TraceRecord.Frame {
        .init(head: head, length: length ?? payload.count, isText: isText, inflatedLength: inflated, payload: payload)
    }

    @Test func `text in quotes, whatever it holds`() {
        #expect(
            line(.received(frame(0x81, Array("a\"\n\u{1B}[31m".utf8), isText: true)))
                == "T 1f in  text 8 \"a\\\"\\u{a}\\u{1b}[31m\"\n")
        #expect(line(.sent(frame(0x81, [], isText: true))) == "T 1f out text 0 \"\"\n")
    }

    @Test func `other bytes as digits`() {
        #expect(line(.sent(frame(0x82, [0, 255, 16]))) == "T 1f out binary 3 00ff10\n")
        #expect(line(.received(frame(0x89, [1]))) == "T 1f in  ping 1 01\n")
        #expect(line(.received(frame(0x8A, []))) == "T 1f in  pong 0\n")
    }

    @Test func `a fragment says that more comes, and a continuation what it continues`() {
        #expect(line(.received(frame(0x01, [97], isText: true))) == "T 1f in  text fin=0 1 \"a\"\n")
        #expect(line(.received(frame(0x80, [98], isText: true))) == "T 1f in  continuation 1 \"b\"\n")
    }

    @Test func `a beginning is marked, and no character is cut in two`() {
        let euros = Array("\u{20AC}\u{20AC}".utf8)
        #expect(line(.sent(frame(0x81, euros, isText: true))) { $0.limit = 4 } == "T 1f out text 6 \"\u{20AC}\"…\n")
        #expect(line(.sent(frame(0x81, euros, isText: true))) { $0.limit = 3 } == "T 1f out text 6 \"\u{20AC}\"…\n")
        #expect(line(.sent(frame(0x82, [1, 2], length: 900))) == "T 1f out binary 900 0102…\n")
    }

    @Test func `compressed messages are shown inflated, and it is said`() {
        #expect(
            line(.received(frame(0xC1, Array("hello".utf8), length: 3, isText: true, inflated: 5)))
                == "T 1f in  text 3 rsv1 inflated=5 \"hello\"\n")
        #expect(
            line(.received(frame(0xC1, [1, 2, 3], isText: true))) == "T 1f in  text 3 rsv1 010203\n",
            "what could not be inflated")
    }

    @Test func `a Close has its code and its reason`() {
        #expect(line(.received(frame(0x88, [0x03, 0xE8] + "bye".utf8))) == "T 1f in  close 5 code=1000 \"bye\"\n")
        #expect(line(.received(frame(0x88, [0x03, 0xE8]))) == "T 1f in  close 2 code=1000\n")
        #expect(line(.sent(frame(0x88, []))) == "T 1f out close 0\n")
    }

    @Test func `redacted there are lengths and codes alone`() {
        let redacted = { (query: inout TraceQuery) in query.isRedacted = true }
        #expect(line(.sent(frame(0x81, Array("secret".utf8), isText: true)), redacted) == "T 1f out text 6\n")
        #expect(line(.sent(frame(0x88, [0x03, 0xE8] + "secret".utf8)), redacted) == "T 1f out close 8 code=1000\n")
        let json = line(.sent(frame(0x82, Array("secret".utf8)))) {
            ($0.form, $0.isRedacted) = (.json, true)
        }
        #expect(
            json == #"{"time":"T","event":"frame","id":"1f","direction":"out","opcode":"binary","fin":true,"#
                + #""compressed":false,"length":6}"# + "\n")
    }

    @Test func `an object for programs`() {
        func json(_ event: TraceRecord.Event) -> String { line(event) { $0.form = .json } }
        #expect(
            json(.received(frame(0x41, Array("he".utf8), length: 3, isText: true, inflated: 5)))
                == #"{"time":"T","event":"frame","id":"1f","direction":"in","opcode":"text","fin":false,"#
                + #""compressed":true,"length":3,"inflated_length":5,"text":"he","truncated":true}"# + "\n")
        #expect(
            json(.sent(frame(0x88, [0x0F, 0xA1] + "r".utf8)))
                == #"{"time":"T","event":"frame","id":"1f","direction":"out","opcode":"close","fin":true,"#
                + #""compressed":false,"length":3,"code":4001,"reason":"r"}"# + "\n")
        #expect(
            json(.opened(peer: "127.0.0.1:5", route: "/a"))
                == #"{"time":"T","event":"open","id":"1f","peer":"127.0.0.1:5","route":"/a"}"# + "\n")
        #expect(
            json(.closed(code: 1006, by: "transport"))
                == #"{"time":"T","event":"end","id":"1f","code":1006,"by":"transport"}"# + "\n")
        #expect(json(.violation("x")) == #"{"time":"T","event":"violation","id":"1f","reason":"x"}"# + "\n")
        var query = TraceQuery(.route("/a"))
        #expect(TraceWriter(query).note("dropped", "5 lines", "lines", 5, at: "T") == "# 5 lines\n")
        query.form = .json
        #expect(
            TraceWriter(query).note("dropped", "5 lines", "lines", 5, at: "T")
                == #"{"time":"T","event":"dropped","lines":5}"# + "\n")
    }
}
