import GatewayIO
import WebSocket

/// A message on the wire: its length without these eight bytes (4), its kind (2), the number of its descriptors (2),
/// little-endian, and its fields.
extension SuccessionMessage {
    static let headLength = 8
    /// Kinds from here on may be skipped by those who do not know them; others must be understood.
    static let firstOptionalKind: UInt16 = 0x8000

    /// Numbers of the wire, which keep their meaning for ever.
    enum Kind: UInt16, Sendable, CaseIterable {
        case hello = 1
        case welcome = 2
        case listener = 3
        case instanceState = 4
        case statesDone = 5
        case ready = 6
        case connection = 7
        case handlersStarted = 8
        case publication = 9
        case errand = 10
        case finish = 11
        case abort = 12
        case slots = 13
        case serve = 14
        case serving = 15
        case received = 16
        case stop = 17
        case allSent = 18
        case succeed = 19
        case handlerNews = 20
        case allAway = 21
        case keep = 22
        case start = 0x100
        case started = 0x101
        case notStarted = 0x102
        case serves = 0x103
        case childEnded = 0x104
        case loaded = 0x200
        case taken = 0x201
        case ended = 0x202
        case handOver = 0x203
        case reopenLogs = 0x204
        case tally = 0x205
        case depart = 0x206
        case relieve = 0x210
        case ask = 0x211
        case unask = 0x212
        case answer = 0x213
        case gap = 0x214
        case latecomers = 0x215
        case progress = 0x8000
        case remaining = 0x8001
        case handlerProcess = 0x8002
        case seen = 0x8003
        case programFile = 0x8004
        case letGo = 0x8005
        case confirmTopics = 0x8006
        case topicsConfirmed = 0x8007
        case shareTopic = 0x8008
        case topicShared = 0x8009
        case flushed = 0x800A

        /// Bytes of its fields at most: where messages of peers and states of handlers are inside, as much as these may
        /// ever be (`max_message`, and what waits to be sent beside it).
        var longest: Int {
            switch self {
            case .connection, .instanceState, .publication, .errand: 3 << 30
            case .welcome, .hello, .ready, .loaded, .taken, .ended, .tally, .handlerNews, .answer: 16 << 20
            case .start: 1 << 20
            case .ask, .listener, .progress, .abort, .remaining, .notStarted, .handlerProcess, .succeed, .keep,
                .programFile,
                .shareTopic, .topicShared:
                64 << 10
            case .handlersStarted, .statesDone, .slots, .serve, .serving, .received, .stop, .allSent, .finish, .started,
                .serves, .childEnded, .handOver, .reopenLogs, .depart, .allAway, .relieve, .unask, .seen, .gap, .letGo,
                .latecomers, .confirmTopics, .topicsConfirmed, .flushed:
                1 << 10
            }
        }

        var descriptors: Int {
            switch self {
            case .listener, .connection, .start, .handOver, .handlerProcess, .succeed, .programFile: 1
            default: 0
            }
        }
    }

    var kind: Kind {
        switch self {
        case .hello: .hello
        case .welcome: .welcome
        case .listener: .listener
        case .instanceState: .instanceState
        case .statesDone: .statesDone
        case .ready: .ready
        case .connection: .connection
        case .handlersStarted: .handlersStarted
        case .slots: .slots
        case .serve: .serve
        case .serving: .serving
        case .received: .received
        case .stop: .stop
        case .allSent: .allSent
        case .publication: .publication
        case .errand: .errand
        case .progress: .progress
        case .remaining: .remaining
        case .finish: .finish
        case .abort: .abort
        case .start: .start
        case .started: .started
        case .notStarted: .notStarted
        case .serves: .serves
        case .childEnded: .childEnded
        case .loaded: .loaded
        case .taken: .taken
        case .ended: .ended
        case .handOver: .handOver
        case .reopenLogs: .reopenLogs
        case .tally: .tally
        case .depart: .depart
        case .handlerProcess: .handlerProcess
        case .succeed: .succeed
        case .handlerNews: .handlerNews
        case .allAway: .allAway
        case .seen: .seen
        case .programFile: .programFile
        case .letGo: .letGo
        case .confirmTopics: .confirmTopics
        case .topicsConfirmed: .topicsConfirmed
        case .shareTopic: .shareTopic
        case .topicShared: .topicShared
        case .flushed: .flushed
        case .keep: .keep
        case .relieve: .relieve
        case .ask: .ask
        case .unask: .unask
        case .answer: .answer
        case .gap: .gap
        case .latecomers: .latecomers
        }
    }

    // MARK: Writing

    /// The whole message, its head included.
    var bytes: [UInt8] {
        var writer = MessageFieldWriter([UInt8](repeating: 0, count: Self.headLength))
        put(&writer)
        var bytes = writer.bytes
        let length = UInt32(bytes.count - Self.headLength)
        let words = UInt64(length) | UInt64(kind.rawValue) << 32 | UInt64(descriptors?.count ?? 0) << 48
        for index in 0..<Self.headLength { bytes[index] = UInt8(truncatingIfNeeded: words >> (UInt64(index) * 8)) }
        return bytes
    }

    private func put(_ writer: inout MessageFieldWriter) {
        switch self {
        case .hello(let greeting), .welcome(let greeting): greeting.put(&writer)
        case .listener(let share, _): share.put(&writer)
        case .instanceState(let state): state.put(&writer)
        case .connection(let share, _):
            writer.put(1, share.worker)
            writer.put(2, share.received)
            writer.put(3, share.record)
        case .ready(let targets): for target in targets { writer.put(1, target.bytes) }
        case .slots(let share):
            writer.put(1, share.worker)
            writer.put(2, share.count)
            writer.put(3, share.serial)
            writer.put(4, share.timer)
        case .received(let number), .seen(let number), .flushed(let number): writer.put(1, number)
        case .publication(let publication): publication.put(&writer)
        case .errand(let errand): errand.put(&writer)
        case .shareTopic(let share), .topicShared(let share): share.put(&writer)
        case .remaining(let remaining):
            writer.put(1, remaining.count)
            writer.put(2, remaining.milliseconds)
            for reason in remaining.reasons { writer.put(3, reason) }
        case .progress(let text), .abort(let text), .notStarted(let text): writer.put(1, text)
        case .start(let program, _): program.put(&writer)
        case .started(let process), .serves(let process): writer.put(1, process)
        case .childEnded(let process, let end):
            writer.put(1, process)
            writer.put(2, UInt32(bitPattern: end.signal))
            writer.put(3, UInt32(bitPattern: end.status))
        case .loaded(let handler): handler.put(&writer)
        case .tally(let tally): tally.put(&writer)
        case .depart(let milliseconds): writer.put(1, milliseconds)
        case .latecomers(let areExpected): writer.put(1, areExpected)
        case .ask(let number, let line):
            writer.put(1, number)
            writer.put(2, line)
        case .unask(let number): writer.put(1, number)
        case .answer(let answer): answer.put(&writer)
        case .taken(let connections), .ended(let connections): for each in connections { writer.put(1, each) }
        case .handOver(_, let keepsRelayed): if keepsRelayed { writer.put(1, true) }
        case .handlerProcess(let share, _):
            writer.put(1, share.handler)
            writer.put(2, share.generation)
        case .succeed(let handler, _), .keep(let handler): writer.put(1, handler)
        case .programFile(let path, _): writer.put(1, path)
        case .handlerNews(let news): news.put(&writer)
        case .handlersStarted, .statesDone, .serve, .serving, .stop, .allSent, .finish, .reopenLogs, .allAway,
            .relieve, .gap, .letGo, .confirmTopics, .topicsConfirmed:
            break
        }
    }

    // MARK: Reading

    /// Reads the fields of a message whose kind, length and descriptors are as they have to be.
    init(_ kind: Kind, _ bytes: ArraySlice<UInt8>, _ descriptors: PassedDescriptors) throws(SuccessionFailure) {
        let fields = try MessageFieldReader(bytes, of: "\(kind)")
        switch kind {
        case .hello: self = .hello(try Greeting(fields))
        case .welcome: self = .welcome(try Greeting(fields))
        case .listener: self = .listener(try ListenerShare(fields), descriptors)
        case .instanceState: self = .instanceState(try InstanceState(fields))
        case .statesDone: self = .statesDone
        case .ready: self = .ready(try Self.targets(fields))
        case .handlersStarted: self = .handlersStarted
        case .slots: self = .slots(try SlotShare(fields))
        case .serve: self = .serve
        case .serving: self = .serving
        case .received: self = .received(try fields.number(1))
        case .seen: self = .seen(try fields.number(1))
        case .programFile: self = .programFile(path: try fields.demand(fields.text(1), 1), descriptors)
        case .letGo: self = .letGo
        case .confirmTopics, .topicsConfirmed, .shareTopic, .topicShared, .flushed:
            self = try Self.ofTopics(kind, fields)
        case .stop: self = .stop
        case .allSent: self = .allSent
        case .connection:
            self = .connection(
                ConnectionShare(
                    worker: try fields.number(1), received: try fields.number(2),
                    record: Array(try fields.demand(fields.bytes(3), 3))), descriptors)
        case .publication: self = .publication(try Publication(fields))
        case .errand: self = .errand(try SuccessionErrand(fields))
        case .progress: self = .progress(try fields.text(1) ?? "")
        case .remaining:
            self = .remaining(
                Remaining(
                    count: try fields.number(1), reasons: try fields.texts(3), milliseconds: try fields.number(2)))
        case .finish: self = .finish
        case .abort: self = .abort(try fields.text(1) ?? "")
        case .start, .started, .notStarted, .serves, .childEnded:
            self = try Self.ofChildren(kind, fields, descriptors)
        case .loaded: self = .loaded(try LoadedHandler(fields))
        case .taken: self = .taken(try fields.numbers(1))
        case .ended: self = .ended(try fields.numbers(1))
        case .handOver: self = .handOver(descriptors, keepsRelayed: try fields.flag(1))
        case .reopenLogs: self = .reopenLogs
        case .relieve: self = .relieve
        case .gap: self = .gap
        case .latecomers: self = .latecomers(areExpected: try fields.flag(1))
        case .ask: self = .ask(number: try fields.number(1), line: try fields.demand(fields.text(2), 2))
        case .unask: self = .unask(try fields.number(1))
        case .answer: self = .answer(try ProcessAnswer(fields))
        case .tally: self = .tally(try ProcessTally(fields))
        case .depart: self = .depart(milliseconds: try fields.number(1))
        case .handlerProcess:
            self = .handlerProcess(
                HandlerShare(
                    handler: try fields.demand(fields.text(1), 1), generation: try fields.number(2)), descriptors)
        case .succeed: self = .succeed(handler: try fields.demand(fields.text(1), 1), descriptors)
        case .keep: self = .keep(handler: try fields.text(1) ?? "")
        case .handlerNews: self = .handlerNews(try HandlerNews(fields))
        case .allAway: self = .allAway
        }
    }

    private static func targets(_ fields: MessageFieldReader) throws(SuccessionFailure) -> [RouteTarget] {
        var targets: [RouteTarget] = []
        for bytes in fields.all(1) { targets.append(try RouteTarget(MessageFieldReader(bytes, of: "target"))) }
        return targets
    }

    /// Of those between a program and the process that watches over it.
    private static func ofChildren(
        _ kind: Kind, _ fields: MessageFieldReader, _ descriptors: PassedDescriptors
    ) throws(SuccessionFailure) -> SuccessionMessage {
        if kind == .start { return .start(try ChildProgram(fields), descriptors) }
        if kind == .notStarted { return .notStarted(try fields.text(1) ?? "") }
        let process: UInt32 = try fields.number(1)
        guard process > 0, process <= UInt32(Int32.max) else {
            throw fields.failure("no process has number \(process)")
        }
        if kind == .started { return .started(process: process) }
        if kind == .serves { return .serves(process: process) }
        let end = ChildEnd(
            signal: Int32(bitPattern: try fields.number(2)), status: Int32(bitPattern: try fields.number(3)))
        return .childEnded(process: process, end)
    }
}

extension SuccessionMessage.SlotShare {
    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init(
            worker: try fields.number(1), count: try fields.number(2), serial: try fields.number(3),
            timer: try fields.number(4))
    }
}

extension SuccessionMessage.Greeting {
    fileprivate func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, version)
        writer.put(2, leastVersion)
        writer.put(3, program)
        writer.put(4, process)
        writer.put(5, workers)
        writer.put(6, capacity)
        writer.put(7, startedAt)
        writer.put(8, clusterOrigin)
        for generation in generations {
            var inner = MessageFieldWriter()
            inner.put(1, generation.handler)
            inner.put(2, generation.number)
            inner.put(3, generation.digest)
            writer.put(9, inner.bytes)
        }
        if tellsSeen { writer.put(10, true) }
        if sharesTopics { writer.put(11, true) }
    }

    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init()
        version = try fields.number(1)
        leastVersion = try fields.number(2, standard: version)
        program = try fields.text(3) ?? ""
        process = try fields.number(4)
        workers = try fields.number(5)
        capacity = try fields.number(6)
        startedAt = try fields.number(7)
        clusterOrigin = try fields.number(8)
        for bytes in fields.all(9) {
            let inner = try MessageFieldReader(bytes, of: "generation")
            generations.append(
                .init(
                    handler: try inner.demand(inner.text(1), 1), number: try inner.number(2),
                    digest: try inner.number(3)))
        }
        tellsSeen = try fields.flag(10)
        sharesTopics = try fields.flag(11)
    }

    /// Why the two sides do not understand each other; nil when they do.
    func objection(_ other: Self) -> String? {
        if other.version < leastVersion {
            return
                "it speaks version \(other.version) of the upgrade, and \(leastVersion) is the oldest that is known here"
        }
        if version < other.leastVersion {
            return "it wants version \(other.leastVersion) of the upgrade at least, and \(version) is spoken here"
        }
        return nil
    }
}

extension SuccessionMessage.ListenerShare {
    fileprivate func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, role.rawValue)
        writer.put(2, address)
        writer.put(3, line)
        writer.put(4, inheritedName)
    }

    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        guard let role = Role(rawValue: try fields.number(1)) else { throw fields.failure("its role is unknown") }
        self.init(
            role: role, address: try fields.demand(fields.text(2), 2), line: try fields.text(3),
            inheritedName: try fields.text(4))
    }
}

extension SuccessionMessage.InstanceState {
    fileprivate func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, handler)
        writer.put(2, route)
        writer.put(3, state.version)
        writer.put(4, state.bytes)
        writer.put(5, state.format)
        writer.put(6, state.generation)
        writer.put(7, state.isCheckpoint)
    }

    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init(
            handler: try fields.demand(fields.text(1), 1), route: try fields.text(2) ?? "",
            state: SavedSelf(
                version: try fields.number(3), format: try fields.number(5), generation: try fields.number(6),
                bytes: Array(try fields.demand(fields.bytes(4), 4)), isCheckpoint: try fields.flag(7)))
    }
}

extension SuccessionMessage.RouteTarget {
    fileprivate var bytes: [UInt8] {
        var writer = MessageFieldWriter()
        writer.put(1, route)
        writer.put(2, handler)
        writer.put(3, facts)
        return writer.bytes
    }

    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init(
            route: try fields.demand(fields.text(1), 1), handler: try fields.demand(fields.text(2), 2),
            facts: Array(try fields.demand(fields.bytes(3), 3)))
    }
}

extension SuccessionErrand {
    /// Numbers of the wire, which keep their meaning for ever.
    private enum Kind: UInt8 {
        case frame = 1
        case fragment, close, abort, post, setReading, subscribe, unsubscribe
    }

    fileprivate func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, connection)
        writer.put(2, handler)
        writer.put(3, payload)
        func put(_ kind: Kind, _ number: UInt64 = 0, _ first: Bool = false, _ second: Bool = false) {
            writer.put(4, kind.rawValue)
            writer.put(5, number)
            writer.put(6, first)
            writer.put(7, second)
        }
        switch work {
        case .frame(let head): put(.frame, UInt64(head))
        case .fragment(let opcode, let isFinal, let isPlain):
            put(.fragment, UInt64(opcode.rawValue), isFinal, isPlain)
        case .close(let code): put(.close, UInt64(code))
        case .abort: put(.abort)
        case .post(let token): put(.post, token)
        case .setReading(let on): put(.setReading, 0, on)
        case .subscribe(let isGlobal): put(.subscribe, 0, isGlobal)
        case .unsubscribe(let isGlobal): put(.unsubscribe, 0, isGlobal)
        }
    }

    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        guard let kind = Kind(rawValue: try fields.number(4)) else { throw fields.failure("its kind is unknown") }
        let number: UInt64 = try fields.number(5)
        let (first, second) = (try fields.flag(6), try fields.flag(7))
        let work: Work
        switch kind {
        case .frame: work = .frame(head: try fields.number(5))
        case .fragment:
            guard let opcode = Opcode(rawValue: try fields.number(5)) else {
                throw fields.failure("\(number) is no opcode")
            }
            work = .fragment(opcode, isFinal: first, isPlain: second)
        case .close: work = .close(code: try fields.number(5))
        case .abort: work = .abort
        case .post: work = .post(token: number)
        case .setReading: work = .setReading(first)
        case .subscribe: work = .subscribe(isGlobal: first)
        case .unsubscribe: work = .unsubscribe(isGlobal: first)
        }
        self.init(
            connection: try fields.number(1), handler: try fields.demand(fields.text(2), 2), work: work,
            payload: Array(fields.bytes(3) ?? []))
    }
}
