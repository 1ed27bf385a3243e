import HTTP
import Testing

@Suite("Look-ups in header lines")
struct HeaderLookupTests {
    @Test func `by name`() throws {
        let head = try head(request("X-A: 1", "x-a: 2", "X-AB: 3"))
        #expect(head.first("x-a").map(head.string) == "1")
        #expect(head.value("X-a") == "1")
        #expect(head.first("x-") == nil)
        #expect(head.first("") == nil)
        #expect(head.count("x-a") == 2)
        #expect(head.count("x-b") == 0)
    }

    @Test(arguments: [
        ("Connection: Upgrade", true), ("Connection: keep-alive, Upgrade", true), ("CONNECTION: UPGRADE,x", true),
        ("Connection:upgrade", true), ("Connection: upgrades", false), ("Connection: x upgrade", false),
        ("Connection: \"upgrade\"", false), ("Connections: upgrade", false),
        ("Connection: x\r\nConnection: upgrade", true),
    ])
    func `tokens in any case, at any position, on any line`(_ line: String, _ isThere: Bool) throws {
        #expect(try head(request(line)).hasToken("upgrade", in: "connection") == isThere)
    }
}
