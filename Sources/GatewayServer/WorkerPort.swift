import GatewayIO
import Synchronization

/// What other threads see of a worker: its mailbox, its board, how much it has to do.
final class WorkerPort: Sendable {
    let index: UInt8
    let board: ConnectionBoard
    /// Peers that it has or will have; whoever accepts counts before handing over.
    let load = Atomic<Int>(0)
    /// Octets of publications in the mailbox.
    let publishedOctets = Atomic<Int>(0)
    /// Octets of posts that wait for the worker.
    let postedOctets = Atomic<Int>(0)
    let timers: TimerDesk
    let waker: Waker
    private let mailbox = Mutex<[Letter]>([])
    /// Fragmented messages that are under way to peers; only streaming handlers come here.
    let streams = Mutex<[UInt64: OutgoingStream]>([:])
    /// There has been such a message; where there never was, nobody needs to look for one.
    let hasStreamed = Atomic<Bool>(false)

    init(index: UInt8, capacity: Int) throws(Errno) {
        guard let board = ConnectionBoard(capacity: capacity) else { throw Errno(12) }
        self.index = index
        self.board = board
        timers = TimerDesk(worker: index)
        waker = try Waker()
    }

    /// Any thread. Only the letter that finds the box empty rings.
    func post(_ letter: Letter) {
        let wasEmpty = mailbox.withLock { letters in
            letters.append(letter)
            return letters.count == 1
        }
        if wasEmpty { waker.ring() }
    }

    /// The owner: another thread's close of a connection that is still in the box.
    func pendingClose(of id: ConnectionID) -> Letter? { mailbox.withLock { $0.first { $0.isClose(of: id) } } }

    /// The owner: takes everything out, leaving an empty box with memory in it.
    func collect(into letters: inout [Letter]) {
        mailbox.withLock { swap(&$0, &letters) }
    }
}
