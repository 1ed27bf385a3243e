import GatewayIO
import Synchronization
import TestSupport
import Testing

@Suite("A waker loses no wake-up")
struct WakerTests {
    /// A mailbox as a worker has one: whoever finds it empty rings.
    private final class Mailbox: Sendable {
        private let letters = Mutex<[Int]>([])
        let waker: Waker

        init() throws { waker = try Waker() }

        func post(_ letter: Int) {
            let wasEmpty = letters.withLock {
                $0.append(letter)
                return $0.count == 1
            }
            if wasEmpty { waker.ring() }
        }

        func empty() -> [Int] {
            letters.withLock { letters in
                defer { letters = [] }
                return letters
            }
        }
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

    @Test("letters from four threads all arrive, in the order of each")
    func letters() throws {
        let mailbox = try Mailbox()
        let poller = try Poller()
        try poller.add(mailbox.waker.number, token: 1, interest: .readable)
        let senders = 4
        let each = 5000
        let posting = RunningThread {
            inThreads(senders) { sender in
                for index in 0..<each { mailbox.post(sender * each + index) }
            }
        }
        var received: [[Int]] = Array(repeating: [], count: senders)
        var count = 0
        while count < senders * each {
            // A lost wake-up would wait for ever; half a minute says so instead.
            let ready = try poller.wait(milliseconds: 30_000)
            guard ready == 1 else {
                Issue.record("a wake-up was lost after \(count) letters")
                break
            }
            mailbox.waker.answer()
            for letter in mailbox.empty() {
                received[letter / each].append(letter % each)
                count += 1
            }
        }
        posting.join()
        #expect(received == Array(repeating: Array(0..<each), count: senders))
    }
}
