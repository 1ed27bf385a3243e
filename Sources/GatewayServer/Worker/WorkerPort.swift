import GatewayIO
import Synchronization

/// What other threads see of a worker: its mailbox, its table of connections, how much it has to do.
final class WorkerPort: Sendable {
    let index: UInt8
    let sharedTable: SharedConnectionTable
    /// How many connections it may have.
    let capacity: Int
    /// Peers that it has or will have; the worker that accepts counts before handing over.
    let load = Atomic<Int>(0)
    /// Bytes of publications in the mailbox.
    let publishedBytes = Atomic<Int>(0)
    /// Bytes of posts that wait for the worker.
    let postedBytes = Atomic<Int>(0)
    let timers: TimerRegistry
    /// What other threads change of connections.
    let changes = ConnectionChanges()
    let waker: Waker
    let lag = LoopLag()
    private let mailbox = Mutex(Mailbox())
    /// Fragmented messages that are under way to peers.
    let streams = OutgoingStreams()
    /// There has been such a message; where there never was one, no connection needs to be looked up for it.
    let hasStreamed = Atomic<Bool>(false)

    private struct Mailbox {
        var mail: [WorkerMessage] = []
        /// How connections end whose `close` or `abort` is among the messages, or among those being read.
        var endings: [UInt64: PromisedEnd] = [:]
    }

    /// How a connection ends that another thread has ended: promised there, and done here when its message is read.
    struct PromisedEnd: Sendable {
        let code: UInt16
        let reason: [UInt8]
        let by: UInt16
    }

    init(index: UInt8, capacity: Int) throws(Errno) {
        guard let sharedTable = SharedConnectionTable(capacity: capacity) else { throw Errno(12) }
        (self.index, self.capacity) = (index, capacity)
        self.sharedTable = sharedTable
        timers = TimerRegistry(worker: index, changes: changes)
        waker = try Waker()
    }

    /// Any thread. Only the message that finds the box empty rings.
    func post(_ item: WorkerMessage) {
        let wasEmpty = mailbox.withLock { box in
            box.mail.append(item)
            return box.mail.count == 1
        }
        if wasEmpty { waker.ring() }
    }

    /// Any thread: posts output for a connection. What is taken here goes out before its Close: the owner withdraws the
    /// connection's entry first and then reads the box.
    ///
    /// - Returns: false, and nothing was posted, when the connection is not open any more.
    func post(_ item: WorkerMessage, to id: ConnectionID) -> Bool {
        let wasEmpty: Bool? = mailbox.withLock { box in
            guard sharedTable.isOpen(id) else { return nil }
            box.mail.append(item)
            return box.mail.count == 1
        }
        if wasEmpty ?? false { waker.ring() }
        return wasEmpty != nil
    }

    /// Any thread: ends a connection with a closing handshake. Only one thread does, and those behind it find it
    /// closed.
    ///
    /// - Returns: false when it is not open any more.
    func close(_ id: ConnectionID, _ end: PromisedEnd) -> Bool {
        finish(.close(id), end, id) { sharedTable.takeDown(id) }
    }

    /// Any thread: ends a connection, open or closing, without a handshake.
    ///
    /// - Returns: false when it has ended, or is being aborted already.
    func abort(_ id: ConnectionID, _ end: PromisedEnd) -> Bool {
        finish(.abort(id), end, id) { sharedTable.abort(id) }
    }

    private func finish(_ item: WorkerMessage, _ end: PromisedEnd, _ id: ConnectionID, _ isFirst: () -> Bool) -> Bool {
        let wasEmpty: Bool? = mailbox.withLock { box in
            guard isFirst() else { return nil }
            box.endings[id.number] = end
            box.mail.append(item)
            return box.mail.count == 1
        }
        if wasEmpty ?? false { waker.ring() }
        return wasEmpty != nil
    }

    /// The owner: makes a connection closed to every sender, unless another thread has posted something that is for it.
    ///
    /// - Parameter isMember: publications are for it.
    func withdraw(_ id: ConnectionID, isMember: Bool) -> Bool {
        mailbox.withLock { box in
            if box.mail.contains(where: { $0.concerns(id, isMember: isMember) }) { return false }
            return sharedTable.takeDown(id)
        }
    }

    /// The owner: how another thread ended a connection, while the message that says so has not been read.
    func promisedEnd(of id: ConnectionID) -> PromisedEnd? { mailbox.withLock { $0.endings[id.number] } }

    /// The owner: the same for the message that is read now.
    func takeEnd(of id: ConnectionID) -> PromisedEnd? { mailbox.withLock { $0.endings.removeValue(forKey: id.number) } }

    /// Whether something is in the mailbox.
    var hasMail: Bool { mailbox.withLock { !$0.mail.isEmpty } }

    /// The owner: takes everything out, behind what it has, leaving an empty box with memory in it.
    func collect(into mail: inout [WorkerMessage]) {
        mailbox.withLock { box in
            if mail.isEmpty { return swap(&box.mail, &mail) }
            mail.append(contentsOf: box.mail)
            box.mail.removeAll(keepingCapacity: true)
        }
    }
}
