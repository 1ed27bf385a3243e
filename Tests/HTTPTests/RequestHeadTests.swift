import HTTP
import Testing

@Suite("RFC 9110 5, header lines")
struct RequestHeadTests {
    @Test func `names are in lower case, values are trimmed and otherwise as sent`() throws {
        let head = try head(request("X-Some-NAME: \t Value  with Case\t ", "Empty:", "Blank: \t"))
        let pairs = head.fields.map { "\(head.string($0.name))=\(head.string($0.value))" }
        #expect(pairs == ["host=a", "x-some-name=Value  with Case", "empty=", "blank="])
    }

    @Test(arguments: [
        ("GET", Method.get), ("HEAD", .head), ("POST", .post), ("PUT", .put), ("DELETE", .delete),
        ("OPTIONS", .options), ("PATCH", .patch), ("TRACE", .trace), ("get", .other), ("PROPFIND", .other),
        ("M-SEARCH", .other), ("G", .other),
    ])
    func `RFC 9110 9.1, methods are case-sensitive`(_ name: String, _ method: HTTP.Method) throws {
        let head = try head(request(line: "\(name) / HTTP/1.1"))
        #expect(head.method == method)
        #expect(head.methodName == name)
    }

    @Test func `every refusal has a status, a word of its own and a sentence`() {
        let words = Set(RequestHeadError.allCases.map(\.word))
        #expect(words.count == RequestHeadError.allCases.count)
        for error in RequestHeadError.allCases {
            #expect((400...599).contains(error.status))
            #expect(error.word.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x2D })
            #expect(error.sentence.hasSuffix("."))
        }
    }
}
