import Testing

@testable import GatewayServer

@Suite("Lines of what happens to thousands at once")
struct SparseLogTests {
    @Test func `one a second, and the next one says how many there would have been`() {
        let log = SparseLog()
        #expect(log.admit(at: 5) == "")
        #expect(log.admit(at: 6) == nil)
        #expect(log.admit(at: 1_000_000_004) == nil)
        #expect(log.admit(at: 1_000_000_005) == " (2 more since the last such line)")
        #expect(log.admit(at: 2_000_000_004) == nil)
        #expect(log.admit(at: 9_000_000_000) == " (1 more since the last such line)")
        #expect(log.admit(at: 10_000_000_000) == "")
    }
}
