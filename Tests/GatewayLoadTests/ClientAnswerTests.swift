import GatewayLoad
import Testing

@Suite("A client reads the head of an answer")
struct ClientAnswerTests {
    @Test func `whole, however it is cut`() throws {
        let text = "HTTP/1.1 404 Not Found\r\nA: b\r\nX-Y:  c : d \t\r\nodd\r\na: second\r\n\r\nbody"
        let bytes = Array(text.utf8)
        for end in 0..<bytes.count - 4 { #expect(ClientAnswer.read(Array(bytes[..<end])) == nil) }
        let (answer, length) = try #require(ClientAnswer.read(bytes))
        #expect(length == bytes.count - 4)
        #expect(answer.status == 404 && answer.phrase == "Not Found")
        #expect(answer.fields.map(\.name) == ["A", "X-Y", "a"])
        #expect(answer["a"] == "b" && answer["x-y"] == "c : d" && answer["z"] == nil)
    }

    @Test(arguments: [
        "SSH-2.0-x\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1\r\n\r\n", "\r\n\r\n",
    ])
    func `and nothing else`(_ text: String) {
        #expect(ClientAnswer.read(Array(text.utf8)) == nil)
    }

    @Test func `a request has what was asked for, and nothing twice`() throws {
        var request = ClientRequest(try Destination(url: "ws://a.test:81/x?y"))
        request.headers = ["Origin: https://b.test", "host: other"]
        request.subprotocols = ["a", "b"]
        request.offersDeflate = true
        let lines = String(decoding: request.bytes(key: "k"), as: UTF8.self).split(separator: "\r\n")
        #expect(
            lines == [
                "GET /x?y HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: k",
                "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: a, b",
                "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover", "Origin: https://b.test",
                "host: other",
            ])
    }
}
