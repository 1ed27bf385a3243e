/// Where things lie in the file of a ledger.
///
///     [ header ][ what each worker is at, and what it has read ][ slots, worker by worker ][ arenas, worker by worker ]
struct LedgerLayout: Equatable, Sendable {
    static let page = 4096

    // MARK: The header

    /// Says what the file is.
    static let mark: UInt64 = 0x3172_6567_6465_6C00
    static let markAt = 0
    static let workersAt = 8
    static let capacityAt = 16
    static let arenaAt = 24
    /// Nanoseconds of the monotonic clock at which ticks begin.
    static let startAt = 32
    /// What a process says that a callback ends: the callback, 0 for none, its connection, and the messages that this has
    /// been given.
    static let lastCallbackAt = 64
    static let lastConnectionAt = 72
    static let lastCountAt = 80

    let workers: Int
    /// Slots of one worker.
    let capacity: Int
    /// Bytes of one worker for what has no fixed size. They cost nothing until they are used.
    let arena: Int

    private static let leastArena = 1 << 30
    private static let mostArena = 1 << 36
    /// For one connection, if all had as much.
    private static let usualShare = 1 << 16

    init(workers: Int, capacity: Int) {
        self.workers = workers
        self.capacity = capacity
        arena = min(Self.mostArena, max(Self.leastArena, capacity.multipliedReportingOverflow(by: Self.usualShare).0))
    }

    /// By the words of a header that nobody vouches for; nil where they are those of no ledger, or not of one so large.
    init?(mark: UInt64, workers: UInt64, capacity: UInt64, size: Int) {
        guard mark == Self.mark, (1...UInt64(ConnectionID.maximumWorkers)).contains(workers),
            (1...UInt64(ConnectionID.maximumSlots)).contains(capacity)
        else { return nil }
        self.init(workers: Int(workers), capacity: Int(capacity))
        if size != self.size { return nil }
    }

    // MARK: Places

    private var slots: Int { (capacity * LedgerSlot.size + Self.page - 1) & ~(Self.page - 1) }
    private var slotsAt: Int { workerAt(workers) }
    private func workerAt(_ worker: Int) -> Int { Self.page + worker * (Self.page + Self.inputRoom) }
    private var arenasAt: Int { slotsAt + workers * slots }

    /// Of the whole file.
    var size: Int { arenasAt + workers * arena }

    /// How much of what a worker reads in one event is kept.
    static let inputRoom = 512 * 1024

    /// The connection whose input a worker takes from the kernel, and has not kept; 0 for none.
    func reading(_ worker: Int) -> Int { workerAt(worker) }

    /// The connection whose output a worker gives to the kernel, which the entry does not say yet; 0 for none.
    func writing(_ worker: Int) -> Int { workerAt(worker) + 8 }

    /// What a worker has read in the event that it is at: the connection, 0 for none, what had come before that, as
    /// `bytesIn` counts, and how many bytes there are.
    func input(_ worker: Int) -> Int { workerAt(worker) + 16 }

    /// Those bytes.
    func inputBytes(_ worker: Int) -> Int { workerAt(worker) + Self.page }

    /// The connection that a worker takes over from another process, as long as its entry does not say so; 0 for none.
    func restoring(_ worker: Int) -> Int { workerAt(worker) + 40 }

    /// Where the slot of a connection lies; nil where it has none.
    func slot(of id: ConnectionID) -> Int? {
        guard id.worker < workers, id.slot < capacity else { return nil }
        return slotsAt + id.worker * slots + Int(id.slot) * LedgerSlot.size
    }

    /// What a worker has for what has no fixed size.
    func arena(_ worker: Int) -> Range<Int> {
        let start = arenasAt + worker * arena
        return start..<start + arena
    }
}
