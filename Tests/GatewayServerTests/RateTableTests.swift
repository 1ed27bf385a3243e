import GatewayConfiguration
import Testing

@testable import GatewayServer

@Suite("handshake_rate: how often one may ask")
struct RateTableTests {
    private static let second: UInt64 = 1_000_000_000

    private func rate(_ text: String) throws -> HandshakeRate {
        let text = "listen 1; defaults { handshake_rate \(text); } route /x { handler h; }"
        return try #require(try Configuration.parse(text, file: "g").configuration.admission.handshakeRate)
    }

    @Test(arguments: [("20/s burst 50", 50, 20), ("20/s", 20, 20), ("1/s burst 1", 1, 1), ("3/s burst 1", 1, 3)])
    func `a burst, one more is refused, then as many as the rate says`(
        _ text: String, _ burst: Int, _ perSecond: Int
    ) throws {
        let rate = try rate(text)
        var table = RateTable<Int>()
        var now = 5 * Self.second
        for _ in 0..<burst { #expect(table.ask(7, rate, now: now) == nil) }
        let refusal = table.ask(7, rate, now: now)
        let wait = try #require(refusal)
        #expect(wait <= Self.second / UInt64(perSecond) && wait > 0)
        #expect(table.ask(7, rate, now: now + wait - 1) == 1)
        #expect(table.ask(7, rate, now: now + wait) == nil)
        now += 1000 * Self.second
        for _ in 0..<burst { #expect(table.ask(7, rate, now: now) == nil) }
        #expect(table.ask(7, rate, now: now) != nil)
    }

    @Test func `over a while it is the rate`() throws {
        let rate = try rate("10/s burst 3")
        var table = RateTable<Int>()
        let admitted = (0..<10_000).count { table.ask(1, rate, now: Self.second + UInt64($0) * 1_000_000) == nil }
        #expect((101...103).contains(admitted))
    }

    @Test(arguments: [("60/m burst 1", 1_000_000_000), ("60/h burst 1", 60_000_000_000)])
    func `minutes and hours`(_ text: String, _ wait: UInt64) throws {
        var table = RateTable<Int>()
        let rate = try rate(text)
        #expect(table.ask(1, rate, now: 1) == nil)
        #expect(table.ask(1, rate, now: 1) == wait)
    }

    @Test func `the largest numbers of all`() throws {
        var table = RateTable<Int>()
        let rate = try rate("1/h burst 1000000")
        for _ in 0..<1000 { #expect(table.ask(1, rate, now: UInt64.max / 2) == nil) }
        #expect(try table.ask(2, self.rate("1000000/s burst 1"), now: 1) == nil)
        #expect(try table.ask(2, self.rate("1000000/s burst 1"), now: 1) == 1000)
    }

    @Test func `keys have nothing to do with one another`() throws {
        var table = RateTable<Int>()
        let rate = try rate("1/s")
        for key in 0..<1000 { #expect(table.ask(key, rate, now: 1) == nil) }
        for key in 0..<1000 { #expect(table.ask(key, rate, now: 1) != nil) }
    }

    @Test func `a flood of fresh keys takes no more memory, and who has asked too often is not forgotten over it`()
        throws
    {
        let rate = try rate("1/s burst 10")
        var table = RateTable<Int>(sets: 4)
        let capacity = table.capacity
        for _ in 0..<10 { #expect(table.ask(-1, rate, now: 1) == nil) }
        for key in 0..<10_000 { #expect(table.ask(key, rate, now: 1) == nil) }
        #expect(table.capacity == capacity && capacity == 32)
        #expect(table.ask(-1, rate, now: 1) != nil)
    }
}
