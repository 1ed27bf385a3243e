import HTTP
import Testing

@Suite("RFC 9112 4 to 6, plain responses")
struct PlainResponseTests {
    private func written(_ response: PlainResponse, headOnly: Bool = false) -> String {
        var output: [UInt8] = []
        var dates = DateCache()
        response.append(to: &output, at: 784_111_777, &dates, headOnly: headOnly)
        return String(decoding: output, as: UTF8.self)
    }

    private let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

    @Test func `a body with its length`() {
        var response = PlainResponse(status: 200, body: Array("hé".utf8))
        response.keepsAlive = true
        let head =
            "HTTP/1.1 200 OK\r\n\(date)Content-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
            + "Connection: keep-alive\r\n\r\n"
        #expect(written(response) == head + "hé")
        #expect(written(response, headOnly: true) == head, "RFC 9110 9.3.2, HEAD")
    }

    @Test func `further headers, whose Content-Type replaces the default`() throws {
        var response = PlainResponse(status: 404, body: [0x7B, 0x7D])
        try response.headers.append("Content-Type", "application/json")
        #expect(
            written(response)
                == "HTTP/1.1 404 Not Found\r\n\(date)Content-Length: 2\r\nContent-Type: application/json\r\n"
                + "Connection: close\r\n\r\n{}")
    }

    @Test func `an empty body, no body, no phrase`() {
        #expect(written(PlainResponse(status: 503)).contains("\r\nContent-Length: 0\r\n"))
        #expect(!written(PlainResponse(status: 204, body: [1])).contains("Content-Length"))
        #expect(written(PlainResponse(status: 304, body: [65])).hasSuffix("\r\n\r\n"))
        #expect(written(PlainResponse(status: 599)).hasPrefix("HTTP/1.1 599 \r\n"))
    }

    @Test(arguments: [0, -1, 101, 199, 600, 65_535, Int.max])
    func `a status that ends no request is a 500`(_ status: Int) {
        #expect(PlainResponse(status: status).status == 500)
    }

    @Test func `a refusal says its word and closes`() {
        let answer = written(PlainResponse(refusing: .headTooLarge))
        #expect(answer.hasPrefix("HTTP/1.1 431 Request Header Fields Too Large\r\n"))
        #expect(answer.contains("\r\nConnection: close\r\n\r\nhead-too-large: "))
        #expect(written(PlainResponse(refusing: .connectNotSupported)).contains("\r\nAllow: GET"))
    }

    @Test func `an offer to upgrade is named in Connection`() {
        var response = PlainResponse(status: 426)
        response.webSocketVersion = "13"
        let answer = written(response)
        #expect(answer.contains("\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"))
        #expect(answer.contains("\r\nConnection: Upgrade, close\r\n"))
    }
}
