import Testing

@testable import HTTP

/// What a response is over HTTP/2.
struct FieldListTests {
    private func pairs(_ list: FieldList) -> [String] {
        list.fields.map { field in
            String(decoding: list.bytes[field.name], as: UTF8.self) + "="
                + String(decoding: list.bytes[field.value], as: UTF8.self)
        }
    }

    @Test func `lines become pairs with names in lower case`() throws {
        var headers = ResponseHeaders()
        try headers.append("X-One", "a: b")
        try headers.append("Set-Cookie", "")
        var list = FieldList(status: 200)
        list.append(headers)
        list.append("last", "1")
        #expect(pairs(list) == [":status=200", "x-one=a: b", "set-cookie=", "last=1"])
        #expect(list.first("x-one").map { Array($0) } == Array("a: b".utf8) && list.first("X-One") == nil)
    }

    @Test func `a response says nothing about the connection`() throws {
        var dates = DateCache()
        var response = PlainResponse(status: 426, word: "unsupported-version", sentence: "13")
        response.webSocketVersion = "13"
        response.keepsAlive = true
        #expect(
            pairs(response.fields(at: 0, &dates)) == [
                ":status=426", "date=Thu, 01 Jan 1970 00:00:00 GMT", "content-type=text/plain; charset=utf-8",
                "content-length=\(response.body.count)", "sec-websocket-version=13",
            ])
        #expect(pairs(PlainResponse(status: 204).fields(at: 0, &dates)).count == 2)
    }
}
