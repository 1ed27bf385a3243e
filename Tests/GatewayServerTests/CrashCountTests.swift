import Testing

@testable import GatewayServer

@Suite("CrashCount: the first process comes at once, then ever later, and five deaths in a minute are the end")
struct CrashCountTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("pauses double, from 0.1 s on")
    func pauses() {
        var count = CrashCount()
        let pauses = (0..<4).map { count.note(at: UInt64($0) * Self.second) }
        #expect(pauses == [0, 100_000_000, 200_000_000, 400_000_000])
    }

    @Test("the fifth within a minute is one too many")
    func tooMany() {
        var count = CrashCount()
        for index in 0..<4 { #expect(count.note(at: UInt64(index) * 14 * Self.second) != nil) }
        #expect(count.note(at: 59 * Self.second) == nil)
    }

    @Test("five that take longer are not, and pauses end at 30 s")
    func slowly() {
        var count = CrashCount()
        var pause: UInt64? = 0
        for index in 0..<40 { pause = count.note(at: UInt64(index) * 16 * Self.second) }
        #expect(pause == 30 * Self.second)
    }

    @Test("a minute without a death forgets all")
    func forgets() {
        var count = CrashCount()
        _ = count.note(at: 0)
        _ = count.note(at: Self.second)
        #expect(count.note(at: 61 * Self.second) == 0)
    }
}
