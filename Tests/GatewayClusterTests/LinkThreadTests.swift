import GatewayIO
import Synchronization
import Testing

@testable import GatewayCluster

struct LinkThreadTests {
    @Test func `a thread that has ended is joined`() throws {
        let hasRun = Flag()
        let thread = try LinkThread { hasRun.isSet.store(true, ordering: .releasing) }
        #expect(thread.join(until: .max))
        let isSet = hasRun.isSet.load(ordering: .acquiring)
        #expect(isSet)
    }

    @Test func `one that does not end is waited for until then, and left`() throws {
        let gate = try Gate()
        let thread = try LinkThread { gate.pass() }
        #expect(!thread.join(until: Clock.monotonicNanoseconds() + 1_000_000))
        gate.waker.ring()
        #expect(thread.join(until: .max))
    }

    private final class Flag: Sendable { let isSet = Atomic<Bool>(false) }

    /// Keeps a thread until it is opened.
    private final class Gate: Sendable {
        let waker: Waker
        init() throws { waker = try Waker() }

        func pass() {
            guard let poller = try? Poller() else { return }
            try? poller.add(waker.number, token: 0, interest: .readable)
            while (try? poller.wait(milliseconds: nil)) == 0 {}
        }
    }
}
