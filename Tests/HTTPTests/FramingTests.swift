import HTTP
import Testing

@Suite("RFC 9112 3.2, 6 and 9, what header lines mean together")
struct FramingTests {
    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", RequestHeadError.missingHost),
        ("GET / HTTP/1.0\r\n\r\n", nil),
        ("GET http://a/ HTTP/1.1\r\n\r\n", .missingHost),
        (request("Host: a"), .duplicateHost),
        (request("host: b"), .duplicateHost),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", .duplicateHost),
        (request("Content-Length: 0"), nil),
        (request("Content-Length: 9223372036854775807"), nil),
        (request("Content-Length: 9223372036854775808"), .badContentLength),
        (request("Content-Length: 99999999999999999999999999"), .badContentLength),
        (request("Content-Length: "), .badContentLength),
        (request("Content-Length: +1"), .badContentLength),
        (request("Content-Length: -1"), .badContentLength),
        (request("Content-Length: 0x1"), .badContentLength),
        (request("Content-Length: 1 1"), .badContentLength),
        (request("Content-Length: 5, 5"), .badContentLength),
        (request("Content-Length: 5", "Content-Length: 5"), .duplicateContentLength),
        (request("Content-Length: 5", "content-length: 6"), .duplicateContentLength),
        (request("Content-Length: 5", "Transfer-Encoding: chunked"), .contentLengthWithTransferEncoding),
        (request("Transfer-Encoding: chunked", "Content-Length: 0"), .contentLengthWithTransferEncoding),
        (request("Transfer-Encoding: Chunked"), nil),
        (request("Transfer-Encoding: ,chunked,"), nil),
        (request("Transfer-Encoding:"), .badTransferEncoding),
        (request("Transfer-Encoding: identity"), .badTransferEncoding),
        (request("Transfer-Encoding: chunked, gzip"), .badTransferEncoding),
        (request("Transfer-Encoding: chunked, chunked"), .badTransferEncoding),
        (request("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), .badTransferEncoding),
        (request("Transfer-Encoding: xchunked"), .badTransferEncoding),
        (request("Transfer-Encoding: gzip, chunked"), .unknownTransferCoding),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .badTransferEncoding),
    ])
    func refused(_ text: String, _ error: RequestHeadError?) {
        #expect(refusal(text) == error)
    }

    @Test(arguments: [
        (request(), true),
        (request("Connection: close"), false),
        (request("Connection: keep-alive, Close"), false),
        (request("Connection: foo", "Connection: bar,close"), false),
        (request("Connection: closed"), true),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n", false),
    ])
    func `RFC 9112 9.3, persistence`(_ text: String, _ keepsAlive: Bool) throws {
        #expect(try head(text).keepsAlive == keepsAlive)
    }

    @Test func `body`() throws {
        #expect(try head(request("Content-Length: 7")).contentLength == 7)
        #expect(try head(request("Content-Length: 7")).hasBody)
        #expect(try !head(request("Content-Length: 0")).hasBody)
        #expect(try head(request("Transfer-Encoding: chunked")).isChunked)
        #expect(try head(request("Transfer-Encoding: chunked")).hasBody)
        #expect(try !head(request()).hasBody)
    }
}
