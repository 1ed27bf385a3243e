import GatewayHandler
import Testing

@Suite("header fields")
struct HeadersTests {
    @Test func `keep their order and may repeat`() {
        var headers: Headers = ["set-cookie": "a=1", "x-b": "2"]
        headers.add("set-cookie", "c=3")
        #expect(headers.map { "\($0.name): \($0.value)" } == ["set-cookie: a=1", "x-b: 2", "set-cookie: c=3"])
        #expect(headers["Set-Cookie"] == "a=1")
        #expect(headers["none"] == nil)
        #expect(Headers().isEmpty)
    }

    @Test func `of a response say what its body is`() {
        #expect(Response.text("a").headers["content-type"] == "text/plain; charset=utf-8")
        #expect(Response.html("a").headers["content-type"] == "text/html; charset=utf-8")
        #expect(Response.json("{}", status: 400).headers["content-type"] == "application/json")
        #expect(Response.json("{}", status: 400).status == 400)
        #expect(Response.text("é").body == [0xC3, 0xA9])
    }
}
