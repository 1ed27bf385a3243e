import GatewayLoad
import Testing
import gateway

@Suite("What comes is shown to people, and given to programs")
struct MessageViewTests {
    private func shown(_ event: ClientConnection.Event, _ form: MessageView.Form, roundTrip: UInt64? = nil) -> String {
        let bytes = MessageView(form).received(event, at: "12:00:00.000", roundTrip: roundTrip)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        arguments: [
            (.text(Array("hi".utf8)), "hi"), (.text(Array("a\u{1B}[2J\u{9B}".utf8)), "a\\u{1b}[2J\\u{9b}"),
            (.text(Array(#"{"a":1}"#.utf8)), #"{"a": 1}"#), (.text(Array("[oops".utf8)), "[oops"),
            (.text(Array("17".utf8)), "17"),
            (.binary([]), "binary, 0 bytes"),
            (
                .binary(Array("A\u{0}~".utf8)),
                "binary, 3 bytes\n00000000  41 00 7e                                          A.~"
            ),
            (.pong(Array("x".utf8)), "pong \"x\", unasked"),
            (.close(code: 1000, reason: ""), "close 1000 (normal: what it was for is done)"),
            (
                .close(code: 4000, reason: "no\n\""),
                "close 4000, \"no\\u{a}\\\"\" (of the application, which says what it means)"
            ),
            (.close(code: nil, reason: ""), "close (without a code)"),
        ] as [(ClientConnection.Event, String)])
    func `to people`(_ event: ClientConnection.Event, _ text: String) {
        #expect(shown(event, .readable) == "12:00:00.000 < \(text)\n")
    }

    @Test func `a pong says how long it took, and pings are shown where they are wanted`() {
        #expect(shown(.pong([]), .readable, roundTrip: 1_260_000) == "12:00:00.000 < pong after 1.2 ms\n")
        #expect(shown(.pong([]), .readable, roundTrip: 42_000) == "12:00:00.000 < pong after 42 us\n")
        #expect(shown(.ping([1]), .readable) == "")
        var view = MessageView(.readable)
        view.showsPings = true
        #expect(String(decoding: view.received(.ping([0xFF]), at: "t"), as: UTF8.self) == "t < ping ff\n")
    }

    @Test(
        arguments: [
            (.text(Array("a\"é".utf8)), "a\"é\n", "a\"é", #"{"type":"text","data":"a\"é"}"#),
            (.binary([0, 255]), "00ff\n", nil, #"{"type":"binary","hex":"00ff"}"#),
            (.pong([1]), "", "", #"{"type":"pong","hex":"01"}"#), (.ping([1]), "", "", ""),
            (.close(code: 1011, reason: "x"), "", "", #"{"type":"close","code":1011,"reason":"x"}"#),
            (.close(code: nil, reason: ""), "", "", #"{"type":"close","code":null,"reason":""}"#),
        ] as [(ClientConnection.Event, String, String?, String)])
    func `to programs`(_ event: ClientConnection.Event, _ line: String, _ raw: String?, _ json: String) {
        #expect(shown(event, .lines) == line)
        if let raw { #expect(shown(event, .raw) == raw) }
        #expect(shown(event, .json) == (json.isEmpty ? "" : json + "\n"))
    }

    @Test func `raw bytes are what they are`() {
        #expect(MessageView(.raw).received(.binary([0, 255]), at: "") == [0, 255])
    }

    @Test func `a refusal says what the server said, and what may help`() throws {
        let head = "HTTP/1.1 403 Forbidden\r\nRetry-After: 3\r\n\r\n"
        var answer = try #require(ClientAnswer.read(Array(head.utf8))).answer
        answer.body = Array("origin-not-allowed: pages\u{1B} may not\nmore\n".utf8)
        #expect(
            MessageView.refusal(answer) == """
                refused: 403 Forbidden
                   retry-after: 3
                   origin-not-allowed: pages\\u{1b} may not
                   more
                   An Origin is sent with: -H 'Origin: https://www.example.com'
                """)
    }

    @Test func `close codes that are fine`() {
        for code: UInt16? in [nil, 1000, 1001] { #expect(CloseMeaning.isFine(code)) }
        for code: UInt16 in [1002, 1006, 1011, 1012, 4000] { #expect(!CloseMeaning.isFine(code)) }
    }
}
