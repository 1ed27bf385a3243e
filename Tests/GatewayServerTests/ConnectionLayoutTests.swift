import Testing

@testable import GatewayServer

@Suite("A connection is small")
struct ConnectionLayoutTests {
    /// Every idle connection costs these bytes. A larger slot needs a reason, a smaller one a lower number here.
    @Test func `the slot of a connection`() {
        // One word of it is for the layer between a connection and its socket, three are for counting: a message costs one
        // addition there, where it cost eight instructions in the counters of its route.
        #expect(MemoryLayout<Connection>.stride == 208)
    }

    @Test func `what other threads know of it`() {
        // A cache line. One word of it tells what has ended here from what has gone to another process.
        #expect(MemoryLayout<SharedConnectionTable.Entry>.stride == 64)
    }
}
