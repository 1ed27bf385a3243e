import GatewayControl
import GatewayIO
import Synchronization

/// What one client of `gateway trace` follows: workers put records in, the control thread takes them out.
///
/// Bounded, and no worker ever waits for the client: what finds no room is dropped and counted, and the count is told
/// where the records would have stood.
final class Tracer: Sendable {
    /// So much waits for the client at most.
    private static let mostRecords = 8192
    private static let mostBytes = 1 << 20

    private struct Ring {
        var records: [TraceRecord] = []
        var bytes = 0
    }

    let client: UInt64
    let query: TraceQuery
    /// Bytes of a payload that are worth keeping.
    let payloadLimit: Int
    private let ring = Mutex(Ring())
    /// No record finds room before some are taken out.
    private let isFull = Atomic(false)
    private let dropped = Atomic<Int>(0)
    /// Workers, and processes of handlers, that have not looked for its connections among those that are there.
    private let missing: Atomic<Int>
    private let found = Atomic<Int>(0)
    private let ended = Atomic(false)
    private let bell: ControlWaker

    init(_ query: TraceQuery, for client: UInt64, workers: Int, bell: ControlWaker) {
        self.client = client
        self.query = query
        self.bell = bell
        payloadLimit = query.isRedacted ? 0 : query.limit
        missing = Atomic(workers)
    }

    // MARK: Workers

    /// Whether a connection, which belongs to a route, is followed.
    func covers(_ peer: ConnectionPointer) -> Bool {
        switch query.target {
        case .connection(let id): return peer.pointee.id.number == id
        case .route(let name):
            guard let binding = unsafe peer.pointee.binding else { return false }
            return unsafe binding.pointee.route.isCalled(name)
        }
    }

    /// A worker has looked at all that were there when the trace began.
    func noteFound(_ count: Int) {
        found.add(count, ordering: .relaxed)
        missing.subtract(1, ordering: .acquiringAndReleasing)
        bell.ring()
    }

    /// Takes a record, which is made only if there is room.
    func add(_ make: () -> TraceRecord) {
        guard !isFull.load(ordering: .relaxed) else {
            dropped.add(1, ordering: .relaxed)
            return
        }
        let record = make()
        let wasEmpty = ring.withLock { ring in
            ring.records.append(record)
            ring.bytes += record.size
            if ring.records.count >= Self.mostRecords || ring.bytes >= Self.mostBytes {
                isFull.store(true, ordering: .relaxed)
            }
            return ring.records.count == 1
        }
        if wasEmpty { bell.ring() }
    }

    /// The connection that it is about has ended.
    func end() {
        ended.store(true, ordering: .releasing)
        bell.ring()
    }

    // MARK: Control thread

    /// Records of another process that have found no room there.
    func note(dropped count: Int) {
        if count == 0 { return }
        dropped.add(count, ordering: .relaxed)
        bell.ring()
    }

    /// Whether nothing comes any more, said once.
    func takeEnd() -> Bool { ended.exchange(false, ordering: .acquiringAndReleasing) }

    /// Connections that were there when it began; nil while that is not known.
    var connections: Int? { missing.load(ordering: .acquiring) <= 0 ? found.load(ordering: .relaxed) : nil }

    /// Nothing comes any more.
    var isOver: Bool { ended.load(ordering: .acquiring) }

    /// Takes everything out; the number is that of records that were dropped behind them.
    func take() -> (records: [TraceRecord], dropped: Int) {
        let records = ring.withLock { ring in
            defer { ring = Ring() }
            return ring.records
        }
        isFull.store(false, ordering: .relaxed)
        return (records, dropped.exchange(0, ordering: .relaxed))
    }
}
