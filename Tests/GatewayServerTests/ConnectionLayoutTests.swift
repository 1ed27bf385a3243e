import Testing

@testable import GatewayServer

@Suite("A connection is small")
struct ConnectionLayoutTests {
    /// Every idle connection costs these octets. A larger slot needs a reason, a smaller one a lower number here.
    @Test func `the slot of a connection`() {
        #expect(MemoryLayout<Connection>.stride == 272)
    }
}
