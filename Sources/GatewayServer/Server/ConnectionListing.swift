import GatewayConfiguration
import GatewayControl
import GatewayIO
import HandlerModules
import Synchronization

/// The connections that one client asks about, on their way from the workers to the control thread.
///
/// Each worker looks at its own in slices, between which it serves: a slice ends with a message of the worker to itself.
/// So a listing costs nothing but while it is under way, and no more memory than the rows that are to be shown.
final class ConnectionListing: Sendable {
    /// So long at most is a worker busy with it before it serves again.
    private static let sliceNanoseconds: UInt64 = 500_000

    /// What one worker has found so far.
    private struct Part {
        var here: RankedRows
        /// Those that are with the process of their handler, which says more of them.
        var away: RankedRows
        var matched = 0
        /// The next slot to look at.
        var cursor: UInt32 = 0
        var isOver = false

        init(_ query: ConnectionQuery) { (here, away) = (RankedRows(query), RankedRows(query)) }
    }

    /// What all of them have found.
    struct Findings {
        var here: RankedRows
        var away: RankedRows
        var matched = 0
        /// Workers that have not looked at all of theirs.
        var silent: [Int] = []

        init(_ query: ConnectionQuery) { (here, away) = (RankedRows(query), RankedRows(query)) }
    }

    let client: UInt64
    let query: ConnectionQuery
    private let parts: [PartOfWorker]
    private let missing: Atomic<Int>
    private let isAbandoned = Atomic(false)
    private let bell: ControlWaker

    private final class PartOfWorker: Sendable {
        let part: Mutex<Part>

        init(_ query: ConnectionQuery) { part = Mutex(Part(query)) }
    }

    init(_ query: ConnectionQuery, for client: UInt64, workers: Int, bell: ControlWaker) {
        self.client = client
        self.query = query
        self.bell = bell
        parts = (0..<workers).map { _ in PartOfWorker(query) }
        missing = Atomic(workers)
    }

    // MARK: Control thread

    /// Every worker has looked at all its connections.
    var isOver: Bool { missing.load(ordering: .acquiring) <= 0 }

    /// Nobody wants it any more.
    func abandon() { isAbandoned.store(true, ordering: .relaxed) }

    /// What was found, as far as it is there.
    func findings() -> Findings {
        var findings = Findings(query)
        for (index, part) in parts.enumerated() {
            let found = part.part.withLock { part in
                defer { (part.here, part.away) = (RankedRows(query), RankedRows(query)) }
                return part
            }
            findings.here.add(found.here)
            findings.away.add(found.away)
            findings.matched += found.matched
            if !found.isOver { findings.silent.append(index) }
        }
        return findings
    }

    /// - Parameter answers: what processes of handlers have said.
    func report(_ answers: ConnectionAnswers? = nil) -> ConnectionReport {
        let findings = findings()
        let rows = answers?.merged(with: findings, query) ?? findings.here
        return ConnectionReport(
            query, rows: rows.shown, matched: findings.matched, silent: findings.silent,
            silentHandlers: answers?.silent ?? [])
    }

    // MARK: Workers

    /// Looks at connections for one slice.
    func look(on worker: Worker) {
        let index = Int(worker.port.index)
        var part = parts[index].part.withLock { part in
            defer { part = Part(query) }
            return part
        }
        if let id = query.id {
            let id = ConnectionID(id)
            if id.worker == index, let peer = worker.table.find(slot: id.slot, serial: id.serial) {
                consider(peer, &part, on: worker)
            }
            part.cursor = worker.table.used
        }
        let end = worker.clock() &+ Self.sliceNanoseconds
        while part.cursor < worker.table.used, !isAbandoned.load(ordering: .relaxed) {
            if let peer = worker.table.occupant(part.cursor) { consider(peer, &part, on: worker) }
            part.cursor += 1
            if part.cursor % 64 == 0, worker.clock() >= end { break }
        }
        part.isOver = part.cursor >= worker.table.used || isAbandoned.load(ordering: .relaxed)
        let isOver = part.isOver
        parts[index].part.withLock { [part] in $0 = part }
        guard isOver else { return worker.port.post(.list(self)) }
        missing.subtract(1, ordering: .acquiringAndReleasing)
        bell.ring()
    }

    /// Takes a connection in if the query is about it and it may be shown.
    private func consider(_ peer: ConnectionPointer, _ part: inout Part, on worker: Worker) {
        guard peer.pointee.phase != .gone, isWanted(peer) else { return }
        var address: SocketAddress?
        if let wanted = query.peer {
            address = peer.pointee.peerAddress
            guard let address, wanted.contains(address.number) else { return }
        }
        part.matched += 1
        let rank = worker.rank(of: peer, by: query.key)
        if let away = peer.pointee.rareState?.away, peer.pointee.phase == .away, away.record == nil {
            part.away.add(
                rank, of: ObjectIdentifier(away.port), worker.row(of: peer, address ?? peer.pointee.peerAddress))
        } else {
            part.here.add(rank, worker.row(of: peer, address ?? peer.pointee.peerAddress))
        }
    }

    private func isWanted(_ peer: ConnectionPointer) -> Bool {
        if query.route == nil, query.handler == nil, query.generation == nil { return true }
        guard let binding = unsafe peer.pointee.binding else { return false }
        let route = unsafe binding.pointee.route
        if let wanted = query.route, !route.isCalled(wanted) { return false }
        if let wanted = query.handler, wanted != route.handler { return false }
        if let wanted = query.generation, unsafe wanted != binding.pointee.generation.number { return false }
        return true
    }
}

extension Route {
    /// Whether somebody means it who names a path, or a host and a path.
    func isCalled(_ text: String) -> Bool { text == pattern || text == name }
}

extension Worker {
    /// Milliseconds since the connection was opened, or came; and since something came or went.
    private func ages(_ peer: ConnectionPointer) -> (age: UInt64, idle: UInt64) {
        func milliseconds(since tick: UInt32) -> UInt64 {
            now > tick ? UInt64(now - tick) * TimerWheel.tickMilliseconds : 0
        }
        // Before it is opened nothing changes what the last message is said to be.
        guard peer.pointee.flags.contains(.opened) else {
            let age = milliseconds(since: peer.pointee.lastMessage)
            return (age, age)
        }
        let slot = peer.pointee.slot
        let lastIn = port.sharedTable[slot].lastIn.load(ordering: .relaxed)
        let lastOut = port.sharedTable[slot].lastOut.load(ordering: .relaxed)
        return (
            milliseconds(since: port.sharedTable[slot].openedAt.load(ordering: .relaxed)),
            milliseconds(since: max(lastIn, lastOut))
        )
    }

    fileprivate func rank(of peer: ConnectionPointer, by key: ConnectionQuery.Key) -> UInt64 {
        switch key {
        case .age: ages(peer).age
        case .idle: ages(peer).idle
        case .messages: peer.pointee.messagesIn &+ peer.pointee.messagesOut
        case .bytes: peer.pointee.bytesIn &+ peer.pointee.bytesOut
        case .queue: UInt64(clamping: unsentBytes(peer))
        }
    }

    fileprivate func row(of peer: ConnectionPointer, _ address: SocketAddress?) -> ConnectionReport.Row {
        let (age, idle) = ages(peer)
        let state: ConnectionReport.State =
            switch peer.pointee.phase {
            case .head, .body, .answering: .request
            case .open, .away: .open
            case .multiplexed: .http2
            case .closing, .ending, .lingering, .gone: .closing
            }
        var row = ConnectionReport.Row(
            id: peer.pointee.id.number, state: state, ageMilliseconds: age, idleMilliseconds: idle)
        row.peer = address?.description
        if let binding = unsafe peer.pointee.binding {
            row.route = unsafe binding.pointee.route.name
            row.handler = unsafe binding.pointee.route.handler
            row.generation = unsafe binding.pointee.generation.number
        }
        row.isCounted = peer.pointee.phase != .away
        row.messagesIn = peer.pointee.messagesIn
        row.messagesOut = peer.pointee.messagesOut
        row.bytesIn = peer.pointee.bytesIn
        row.bytesOut = peer.pointee.bytesOut
        row.queued = UInt64(clamping: unsentBytes(peer))
        row.tls = peer.pointee.security?.version
        row.subprotocol = peer.pointee.rareState?.subprotocol
        return row
    }
}
