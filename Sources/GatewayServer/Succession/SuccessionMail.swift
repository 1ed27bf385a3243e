import Bytes
import GatewayCluster
import GatewayIO
import Synchronization
import WebSocket

/// What two programs that serve at the same time give to each other's connections: publications, and errands of handlers.
/// Any thread gives, the control thread fetches it for the link.
///
/// A connection that goes from the predecessor to the successor meanwhile gets everything once and in order:
///
/// - It leaves a worker that has given out everything for it (`reserve`), under the lock that publications are numbered under. What the
///   predecessor gives away behind that lies behind the record of the connection on the link.
/// - What the successor gives away has numbers, too. The record says up to which of them the predecessor had given out, and
///   the successor gives the connection what lies behind that, from its own `backlog`.
final class SuccessionMail: Sendable {
    enum Side: Sendable { case predecessor, successor }

    struct Publication: Sendable {
        let key: TopicKey
        let isText: Bool
        /// Not to be compressed.
        let isPlain: Bool
        /// The connection that does not get it; 0 for none.
        let except: UInt64
        let payload: [UInt8]
        /// Of one that an engine has brought.
        var id: PublicationID?
    }

    enum Item: Sendable {
        case publication(Publication)
        case errand(SuccessionErrand)
        /// A publication that members here have had another way.
        case known
        /// A topic has members here, or is heard for those of the other side from now on.
        case shareTopic(TopicKey)
        case topicShared(TopicKey)
        /// Everybody has left; the other side is asked whether it hears the engines of the cluster itself.
        case confirmTopics
        /// How much of what the other side has given away has been given out here.
        case received(UInt64)
        /// The place of a connection, and how much of what the other side has given away it has had.
        case reserved(connection: UInt64, received: UInt64)
        /// A connection that has left: its record, and its socket.
        case connection(UInt64, received: UInt64, record: [UInt8], PassedDescriptors)

        /// It has a number.
        var isGiven: Bool {
            switch self {
            case .publication, .errand, .known: true
            case .shareTopic, .topicShared, .confirmTopics, .received, .reserved, .connection: false
            }
        }

        var weight: Int {
            switch self {
            case .publication(let publication): publication.payload.count + publication.key.name.count + 128
            case .errand(let errand): errand.weight
            case .connection(_, _, let record, _): record.count + 128
            case .shareTopic(let key), .topicShared(let key): key.name.count + 128
            case .known, .confirmTopics, .reserved, .received: 0
            }
        }
    }

    struct State {
        fileprivate(set) var side: Side?
        /// What comes from engines is not given to the other side any more, which hears them itself.
        var keepsQuiet = false
        /// How many of the other side's items have been given out here.
        fileprivate(set) var received: UInt64 = 0
        /// How many items have been given to the other side, connections not counted.
        fileprivate(set) var given: UInt64 = 0
        fileprivate var outgoing: [Item] = []
        fileprivate var outgoingBytes = 0
        /// What the successor has given away and the predecessor may not have given out.
        fileprivate var backlog: [(number: UInt64, item: Item)] = []
        fileprivate var backlogBytes = 0
        fileprivate var bell: ControlWaker?
        /// Connections that have been given, and how many of them the other side has looked at: each of the others says
        /// nothing for as long. Nil where it does not tell.
        fileprivate var connections = 0
        fileprivate var seen: Int?
        fileprivate var toldReceived: UInt64 = 0

        /// Nothing up to a number is needed by a connection that still comes.
        fileprivate mutating func forget(upTo number: UInt64) {
            let gone = backlog.prefix { $0.number <= number }
            backlogBytes -= gone.reduce(0) { $0 + $1.item.weight }
            backlog.removeFirst(gone.count)
        }

        /// Gives something to the other side.
        mutating func give(_ item: Item) {
            guard let side else { return }
            given += 1
            if side == .successor {
                backlog.append((given, item))
                backlogBytes += item.weight
            }
            send(item)
        }

        /// What this side has given away behind a number, for a connection that comes now and has not had it.
        ///
        /// - Parameter next: publications from this number on are on their way to its worker.
        func backlog(behind number: UInt64, before next: UInt64) -> [Item] {
            backlog.filter { each in
                if case .publication = each.item, each.number >= next { return false }
                return each.number > number
            }.map { $0.item }
        }

        fileprivate mutating func send(_ item: Item) {
            let wasEmpty = outgoing.isEmpty
            outgoing.append(item)
            outgoingBytes += item.weight
            if wasEmpty { bell?.ring() }
        }
    }

    /// Bytes that may wait for the other program, or to be given out there.
    private static let most = 64 << 20

    let counters = SuccessionCounters()
    /// There is another program.
    let isOn = Atomic<Bool>(false)
    /// Threads other than workers that are publishing just now: one of them may have begun when there was no other program.
    private let strangers = Atomic<Int>(0)
    private let state = Mutex(State())

    // MARK: Beginning and end

    func begin(_ side: Side, bell: ControlWaker) {
        state.withLock {
            $0.side = side; $0.bell = bell
        }
        isOn.store(true, ordering: .sequentiallyConsistent)
    }

    /// There is no other program any more.
    func end() {
        isOn.store(false, ordering: .sequentiallyConsistent)
        state.withLock { $0 = State() }
    }

    /// No connection comes any more from the other program, and there will be none once the workers have let in those that
    /// have come.
    func endBehindConnections(_ ports: [WorkerPort]) {
        let last = Passage(nil, workers: ports.count)
        for port in ports { port.post(.letIn(last)) }
    }

    /// A thread that is no worker's publishes, be it for this program alone.
    func publishing<Result>(_ body: () -> Result) -> Result {
        strangers.add(1, ordering: .sequentiallyConsistent)
        defer { strangers.subtract(1, ordering: .sequentiallyConsistent) }
        return body()
    }

    /// Nobody is publishing who may not know of the other program.
    var isKnown: Bool { strangers.load(ordering: .sequentiallyConsistent) == 0 }

    // MARK: Giving

    /// Whether so much waits that nothing more is taken.
    var isFull: Bool { state.withLock { max($0.outgoingBytes, $0.backlogBytes) > Self.most } }

    /// Says something that has no number.
    func send(_ item: Item) { state.withLock { if $0.side != nil { $0.send(item) } } }

    func give(_ errand: SuccessionErrand) { state.withLock { $0.give(.errand(errand)) } }

    /// Runs the body under the lock, once the worker has given its members everything that was numbered before.
    ///
    /// - Returns: nil, and it has not run, where a connection that comes has to be let in first.
    func settled<Result>(_ worker: Worker, _ body: (inout State) -> Result) -> Result? {
        while true {
            worker.mailbox.catchUp(on: worker)
            if worker.mailbox.awaitsConnection { return nil }
            let result: Result? = state.withLock { state in
                worker.port.publishedBytes.load(ordering: .acquiring) == 0 ? body(&state) : nil
            }
            if let result { return result }
        }
    }

    /// The same on any other thread, which has nothing to give out.
    func locked<Result>(_ body: (inout State) -> Result) -> Result { state.withLock { body(&$0) } }

    // MARK: How fast connections go

    /// So many connections are on their way at most.
    private static let mostConnections = 24
    /// So many more have been looked at when the other side is told.
    private static let seenInterval = 4

    /// Any worker: one that has come has been looked at.
    func noteSeen() {
        let seen = counters.seen.add(1, ordering: .relaxed).newValue
        if seen % Self.seenInterval == 0 { state.withLock { $0.bell }?.ring() }
    }

    /// The other side tells, or has told.
    func note(seen: Int) { state.withLock { $0.seen = seen } }

    // MARK: The control thread

    /// What is to go over the link, in its order, up to a connection that has not left yet.
    func takeOutgoing() -> [Item] {
        state.withLock { state in
            let items = Array(state.outgoing.prefix { if case .reserved = $0 { false } else { true } })
            state.outgoing.removeFirst(items.count)
            state.outgoingBytes -= items.reduce(0) { $0 + $1.weight }
            return items
        }
    }

    /// Something is to go over the link.
    var hasOutgoing: Bool { state.withLock { !$0.outgoing.isEmpty } }

    /// The other side is told how much of what it gave away has been given out here: behind the connections that have not
    /// had all of it.
    func tellReceived() {
        state.withLock { state in
            guard state.received != state.toldReceived else { return }
            state.toldReceived = state.received
            state.send(.received(state.received))
        }
    }

    /// What the other side has given out up to a number; the workers pass it behind the connections that came before it.
    final class Passage: Sendable {
        /// Nil where there is nothing behind it.
        fileprivate let number: UInt64?
        fileprivate let missing: Atomic<Int>

        fileprivate init(_ number: UInt64?, workers: Int) {
            self.number = number
            missing = Atomic(workers)
        }
    }

    /// A worker has let in whoever may need what is up to a number.
    func pass(_ passage: Passage) {
        guard passage.missing.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        guard let number = passage.number else { return end() }
        state.withLock { $0.forget(upTo: number) }
    }

    /// What comes from a third process, for members that are here or on the way.
    func take(_ publication: Publication, of server: ServerContext) {
        state.withLock { _ in
            publication.post(server.topics, server.ports, to: Topic(publication.key, workers: server.ports.count))
        }
    }

    /// Something that the other side gave away goes into the mailboxes of the workers.
    func take(_ item: Item, _ server: ServerContext) {
        state.withLock { state in
            if item.isGiven { state.received += 1 }
            switch item {
            case .publication(let publication):
                // A connection that is on its way to a worker may be a member.
                let all = state.side == .successor ? Topic(publication.key, workers: server.ports.count) : nil
                publication.post(server.topics, server.ports, to: all)
            case .errand(let errand):
                guard errand.id.worker < server.ports.count else { return }
                server.ports[errand.id.worker].post(.errand(errand, isFromElsewhere: true))
            case .received(let number):
                let passage = Passage(number, workers: server.ports.count)
                for port in server.ports { port.post(.letIn(passage)) }
            case .known, .shareTopic, .topicShared, .confirmTopics, .connection, .reserved: break
            }
        }
    }
}

extension SuccessionMail: TransferReceiver {
    var hasRoom: Bool {
        if isFull { return false }
        return state.withLock { state in state.seen.map { state.connections - $0 < Self.mostConnections } ?? true }
    }

    func reserve(_ connection: UInt64, _ withdraw: () -> Bool) -> Bool {
        state.withLock { state in
            guard withdraw() else { return false }
            state.send(.reserved(connection: connection, received: state.received))
            return true
        }
    }

    func take(_ connection: UInt64, _ record: [UInt8], _ descriptor: Int32) {
        let socket = PassedDescriptors(adopting: [descriptor])
        state.withLock { state in
            state.connections += 1
            let place = state.outgoing.firstIndex {
                if case .reserved(connection, _) = $0 { true } else { false }
            }
            guard let place, case .reserved(_, let received) = state.outgoing[place] else {
                return state.send(.connection(connection, received: state.received, record: record, socket))
            }
            let item = Item.connection(connection, received: received, record: record, socket)
            state.outgoing[place] = item
            state.outgoingBytes += item.weight
            state.bell?.ring()
        }
    }
}

extension SuccessionMail.Publication {
    /// As a frame of the wire.
    var frame: UnsafeMutablePointer<SharedBuffer>? {
        let header = FrameWriter(isText ? .text : .binary, isFinal: true, payloadLength: payload.count)
        return unsafe payload.withUnsafeBytes { unsafe SharedBuffer.frame(header, $0) }
    }

    /// Gives it to the workers that have members.
    ///
    /// - Parameter all: stands for the topic where all workers are to have it.
    func post(_ topics: TopicDirectory, _ ports: [WorkerPort], to all: Topic? = nil) {
        guard let topic = all ?? topics.find(key), let frame = unsafe frame else { return }
        for port in ports where all != nil || topic.count(in: Int(port.index)) > 0 {
            unsafe frame.pointee.retain()
            unsafe port.publishedBytes.add(frame.pointee.count, ordering: .relaxed)
            port.post(.publication(topic, address: UInt(bitPattern: frame), isPlain: isPlain, except: except))
        }
        unsafe SharedBuffer.release(frame)
    }
}
