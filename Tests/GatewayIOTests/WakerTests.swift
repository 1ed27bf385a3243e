import GatewayIO
import Synchronization
import TestSupport
import Testing

@Suite("A waker loses no wake-up")
struct WakerTests {
    /// What a mailbox has to do with a waker: whoever finds it empty rings. Atomics, which thread sanitizers know.
    private final class Mailbox: Sendable {
        private let letters = Atomic(0)
        let waker: Waker

        init() throws { waker = try Waker() }

        func post() {
            if letters.add(1, ordering: .acquiringAndReleasing).oldValue == 0 { waker.ring() }
        }

        /// How many letters there were.
        func empty() -> Int { letters.exchange(0, ordering: .acquiringAndReleasing) }
    }

    @Test("ringing is readable until it is answered, however often it rang")
    func ring() throws {
        let poller = try Poller()
        let waker = try Waker()
        try poller.add(waker.number, token: 9, interest: .readable)
        #expect(try poller.wait(milliseconds: 0) == 0)
        for _ in 0..<3 { waker.ring() }
        for _ in 0..<2 { #expect(try poller.wait(milliseconds: 0) == 1) }
        #expect(poller[0].token == 9)
        waker.answer()
        #expect(try poller.wait(milliseconds: 0) == 0)
        // Answering nobody does not block.
        waker.answer()
    }

    @Test("a thread that waits for ever is woken", arguments: 0..<50)
    func wake(_ round: Int) throws {
        let mailbox = try Mailbox()
        let sleeper = RunningThread {
            guard let poller = try? Poller() else { return }
            try? poller.add(mailbox.waker.number, token: 1, interest: .readable)
            _ = try? poller.wait(milliseconds: nil)
        }
        mailbox.waker.ring()
        sleeper.join()
    }

    @Test("letters from four threads all arrive")
    func letters() throws {
        let mailbox = try Mailbox()
        let poller = try Poller()
        try poller.add(mailbox.waker.number, token: 1, interest: .readable)
        let posting = RunningThread {
            inThreads(4) { _ in
                for _ in 0..<5000 { mailbox.post() }
            }
        }
        var received = 0
        while received < 20_000 {
            // A lost wake-up would wait for ever; half a minute says so instead.
            let ready = try poller.wait(milliseconds: 30_000)
            guard ready == 1 else {
                Issue.record("a wake-up was lost after \(received) letters")
                break
            }
            mailbox.waker.answer()
            received += mailbox.empty()
        }
        posting.join()
        #expect(received == 20_000)
    }
}
