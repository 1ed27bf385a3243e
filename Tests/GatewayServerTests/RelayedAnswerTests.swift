import HTTP
import Testing

@testable import GatewayServer

@Suite("An answer over HTTP/1.1 to what was asked for over HTTP/2")
struct RelayedAnswerTests {
    /// What is found in a text that comes in pieces of a size.
    private func parts(_ text: String, by size: Int = .max) -> [String] {
        var (answer, found): (RelayedAnswer, [String]) = (RelayedAnswer(), [])
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            Array(rest.prefix(size)).withUnsafeBytes { answer.append($0) }
            rest = rest.dropFirst(size)
            while let part = answer.next() {
                switch part {
                case .interim(let fields): found.append("interim " + lines(fields))
                case .answer(let fields, let body):
                    found.append("answer \(lines(fields)) + " + String(decoding: body + rest, as: UTF8.self))
                    return found
                case .nonsense: return found + ["nonsense"]
                }
            }
        }
        return found
    }

    private func lines(_ fields: FieldList) -> String {
        fields.fields.map { field in
            String(decoding: fields.bytes[field.name], as: UTF8.self) + "="
                + String(decoding: fields.bytes[field.value], as: UTF8.self)
        }.joined(separator: " ")
    }

    private static let acceptance = """
        HTTP/1.1 101 Switching Protocols\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Accept: ============================\r
        Sec-WebSocket-Protocol: v1\r
        X-Own: a: b\r
        \r
        \u{1}frames
        """

    @Test(arguments: [1, 2, 3, 7, 50, 1000])
    func `an upgrade is a 200 without what is of the connection`(size: Int) {
        let expected = ["answer :status=200 sec-websocket-protocol=v1 x-own=a: b + \u{1}frames"]
        #expect(parts(Self.acceptance, by: size) == expected)
    }

    @Test func `a refusal is the same one, with its body`() {
        let text =
            "HTTP/1.1 403 Forbidden\r\nDate: now\r\nContent-Length: 2\r\nKeep-Alive: x\r\nTransfer-Encoding: y\r\n"
            + "Connection: close\r\n\r\nno"
        #expect(parts(text) == ["answer :status=403 date=now content-length=2 + no"])
        #expect(parts("HTTP/1.1 204 No Content\r\n\r\n") == ["answer :status=204 + "])
    }

    @Test(arguments: [1, 5, 1000])
    func `what is said before the answer is said before it`(size: Int) {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nbody"
        #expect(parts(text, by: size) == ["interim :status=100", "answer :status=200 content-type=text/plain + body"])
    }

    @Test(arguments: [
        "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 999 Odd\r\n\r\n", "\r\n\r\n",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 70_000),
        "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 70_000) + "\r\n\r\n",
    ])
    func `what is no answer is found out`(text: String) {
        #expect(parts(text) == ["nonsense"])
    }

    @Test func `half a head is waited for`() {
        #expect(parts(String(Self.acceptance.prefix(60))).isEmpty)
    }
}
