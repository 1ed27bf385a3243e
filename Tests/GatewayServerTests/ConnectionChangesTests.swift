import TestSupport
import Testing

@testable import GatewayServer

@Suite("What other threads change of connections is noted where somebody writes it down")
struct ConnectionChangesTests {
    @Test func `once, from any thread, until the worker has taken it`() {
        let changes = ConnectionChanges()
        changes.note(1)
        #expect(!changes.hasSome)
        changes.begin()
        changes.note(0)
        #expect(!changes.hasSome)
        inThreads(4) { thread in
            for number in 1...1000 { changes.note(UInt64(thread % 2 * 1000 + number)) }
        }
        #expect(changes.hasSome && changes.take() == Set(1...2000))
        #expect(!changes.hasSome && changes.take().isEmpty)
    }
}
