import Testing

@testable import GatewayServer

@Suite("Lines that peers cause are few")
struct LogLimiterTests {
    @Test func `so many in a time, and the next one says how many are missing`() {
        let limiter = LogLimiter(3, inSeconds: 10)
        let start: UInt64 = 50_000_000_000
        #expect((0..<5).map { limiter.admit(at: start + $0) } == [0, 0, 0, nil, nil])
        #expect(limiter.admit(at: start + 9_999_999_999) == nil)
        #expect(limiter.admit(at: start + 10_000_000_000) == 3)
        #expect(limiter.admit(at: start + 10_000_000_001) == 0)
    }

    @Test func `a clock that another thread looked at before is no other time`() {
        let limiter = LogLimiter(1, inSeconds: 10)
        #expect(limiter.admit(at: 50_000_000_000) == 0)
        #expect(limiter.admit(at: 49_999_999_999) == nil)
    }
}
