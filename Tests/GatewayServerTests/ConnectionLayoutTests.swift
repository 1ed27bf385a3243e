import Testing

@testable import GatewayServer

@Suite("A connection is small")
struct ConnectionLayoutTests {
    /// Every idle connection costs these octets. A larger slot needs a reason, a smaller one a lower number here.
    @Test func `the slot of a connection`() {
        #expect(MemoryLayout<Connection>.stride == 176)
    }

    @Test func `what other threads know of it`() {
        #expect(MemoryLayout<ConnectionBoard.Notice>.stride == 56)
    }
}
