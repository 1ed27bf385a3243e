import HTTP
import Testing

@Suite("RFC 9110 15, status codes")
struct ReasonPhraseTests {
    @Test(arguments: [
        (101, "Switching Protocols"), (200, "OK"), (400, "Bad Request"), (426, "Upgrade Required"),
        (431, "Request Header Fields Too Large"), (504, "Gateway Timeout"), (599, ""), (306, ""), (0, ""), (-1, ""),
    ])
    func phrase(_ status: Int, _ phrase: String) {
        #expect(reasonPhrase(of: status) == phrase)
    }

    @Test func `every refusal has a phrase`() {
        for error in RequestHeadError.allCases { #expect(!reasonPhrase(of: error.status).isEmpty) }
    }
}
