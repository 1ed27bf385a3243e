import HTTP
import Testing

@Suite("Header lines of handlers cannot break out of their response")
struct ResponseHeadersTests {
    @Test(arguments: [
        ("", "v", ResponseHeaderError.badName), ("a b", "v", .badName), ("a:", "v", .badName),
        ("a\r\nb", "v", .badName),
        ("é", "v", .badName), ("a", "x\r\nSet-Cookie: y", .badValue), ("a", "x\ny", .badValue),
        ("a", "x\ry", .badValue),
        ("a", "x\0y", .badValue), ("a", "\u{7F}", .badValue), ("Content-Length", "0", .reservedName),
        ("transfer-encoding", "chunked", .reservedName), ("CONNECTION", "x", .reservedName),
        ("Sec-WebSocket-Accept", "x", .reservedName), ("Upgrade", "x", .reservedName), ("Date", "x", .reservedName),
    ])
    func refused(_ name: String, _ value: String, _ error: ResponseHeaderError) {
        var headers = ResponseHeaders()
        #expect(throws: error) { try headers.append(name, value) }
        #expect(headers.bytes.isEmpty)
    }

    @Test func `taken in order`() throws {
        var headers = ResponseHeaders()
        try headers.append("Set-Cookie", "a=1")
        try headers.append("Set-Cookie", "b=é\t2")
        #expect(!headers.hasContentType)
        try headers.append("content-TYPE", "")
        #expect(headers.hasContentType)
        #expect(text(headers.bytes) == "Set-Cookie: a=1\r\nSet-Cookie: b=é\t2\r\ncontent-TYPE: \r\n")
    }
}
