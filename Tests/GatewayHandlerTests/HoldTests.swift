import CGatewayABI
import GatewayHandler
import Synchronization
import Testing

/// Holds itself when it is started.
private final class Holder: ReactiveHandler {
    let hold: Mutex<Hold?>

    init(_ context: borrowing StartContext) { hold = Mutex(context.gateway.hold()) }

    func message(_ connection: Connection, _ message: borrowing Message) {
        connection.send(hold.withLock { $0 == nil } ? "free" : "held")
        hold.withLock { $0 = nil }
    }
}

@Suite("a handler is held while a Hold exists")
struct HoldTests {
    @Test func `and is released when the last reference to it goes`() {
        let driven = Driven(Holder.self)
        #expect(driven.host.state.withLock { $0.holds } == 1)
        driven.text(1, "let go")
        #expect(driven.host.state.withLock { $0.holds } == 0)
        driven.text(1, "again")
        #expect(driven.host.deeds == [.text(1, "held"), .text(1, "free")])
    }

    @Test func `and cannot be while it is being stopped`() {
        let host = MockHost()
        host.set { $0.isStopping = true }
        let driven = Driven(Holder.self, host: host)
        driven.text(1, "are you?")
        #expect(driven.host.deeds == [.text(1, "free")] && driven.host.state.withLock { $0.holds } == 0)
    }
}
