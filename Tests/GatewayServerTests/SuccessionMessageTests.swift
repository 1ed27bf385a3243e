import GatewayCluster
import GatewayIO
import Glibc
import TestSupport
import Testing

@testable import GatewayServer

/// One of every kind, with every field set.
enum SuccessionSamples {
    static let greeting = SuccessionMessage.Greeting(
        version: 7, leastVersion: 3, program: "1.2 \u{1F300}", process: 4_000_000, workers: 64, capacity: 65536,
        startedAt: 1_800_000_000, clusterOrigin: .max - 3,
        generations: [
            .init(handler: "chat", number: 12, digest: .max), .init(handler: "echo", number: 1, digest: 0),
        ], tellsSeen: true, sharesTopics: true)

    private static let errands: [SuccessionErrand] = [
        .frame(head: 0x81), .fragment(.text, isFinal: false, isPlain: true), .close(code: 1001), .abort,
        .post(token: .max), .setReading(true), .subscribe(isGlobal: true), .unsubscribe(isGlobal: false),
    ].map { SuccessionErrand(connection: .max, handler: "chat", work: $0, payload: [1]) }

    /// - Parameter descriptor: makes what goes with a message.
    static func all(_ descriptor: () -> PassedDescriptors) -> [SuccessionMessage] {
        [
            .hello(greeting), .welcome(SuccessionMessage.Greeting()),
            .listener(
                .init(role: .clients, address: "127.0.0.1:8080", line: "8080", inheritedName: "http"), descriptor()),
            .listener(.init(role: .control, address: "unix:/run/gw.sock", line: nil, inheritedName: nil), descriptor()),
            .handlersStarted,
            .instanceState(
                .init(
                    handler: "chat", route: "/chat",
                    state: SavedSelf(version: 2, format: 9, generation: 4, bytes: [UInt8](0...255), isCheckpoint: true))
            ),
            .statesDone, .ready([.init(route: "/chat", handler: "chat", facts: [1, 2])]),
            .slots(.init(worker: 3, count: 70_000, serial: 9, timer: 5)), .serve, .serving, .stop, .allSent,
            .received(1 << 40),
            .connection(.init(worker: 3, received: 1 << 40, record: [1, 2, 3]), descriptor()),
            .publication(
                .init(
                    scope: "/chat", topic: "room", isText: true, isPlain: true, except: 9, payload: Array("hi".utf8))
            ),
            .publication(
                .init(
                    scope: "", topic: "room", isText: false, isPlain: false, except: 0, payload: [],
                    id: PublicationID(origin: .max, number: 1 << 50))),
            .shareTopic(.init(scope: "/chat", topic: [0, 255])), .topicShared(.init(scope: "", topic: [1])),
            .confirmTopics, .topicsConfirmed, .flushed(connections: .max),
        ] + errands.map { .errand($0) } + [
            .progress("12 of 100 connections have moved"),
            .remaining(.init(count: 3, reasons: ["2 over TLS", "1 over HTTP/2"], milliseconds: 30_000)), .finish,
            .abort("no memory"),
            .start(
                ChildProgram(
                    path: "/usr/bin/gateway", arguments: ["run", "", "-c", "a=b"], variables: ["A": "b=c", "B": ""]),
                descriptor()),
            .started(process: 4_000_000), .notStarted("no such file"), .serves(process: 1),
            .childEnded(process: 7, ChildEnd(signal: 11, status: 0)), .loaded(loaded), .taken([1, .max]), .ended([]),
            .handOver(descriptor()), .reopenLogs, .tally(TallySamples.tally),
            .depart(milliseconds: 70_000), .handOver(descriptor(), keepsRelayed: true),
            .handlerProcess(.init(handler: "chat", generation: 7), descriptor()),
            .succeed(handler: "chat", descriptor()), .keep(handler: "chat"), .seen(9),
            .programFile(path: "/usr/bin/gateway", descriptor()), .letGo,
            .handlerNews(.init(handler: "chat", taken: [1, .max], ended: [3], isKept: true, isGone: true)), .allAway,
            .relieve, .gap, .latecomers(areExpected: true), .ask(number: 3, line: "connections json limit=7"),
            .unask(.max),
            .answer(AnswerSamples.connections), .answer(AnswerSamples.trace),
        ]
    }

    private static var loaded: SuccessionMessage.LoadedHandler {
        var loaded = SuccessionMessage.LoadedHandler()
        (loaded.module.name, loaded.module.version, loaded.module.sdk) = ("chat", "1.2", "c")
        (loaded.module.abiVersion, loaded.module.flags) = (1 << 16 | 2, 5)
        (loaded.module.stateFormat, loaded.module.stateVersion) = (.max, 3)
        (loaded.module.saves, loaded.module.restores, loaded.module.takesFragments) = (true, true, true)
        loaded.routes = ["/a", "/b"]
        loaded.refused = [.init(route: "/c", reason: "no disk")]
        return loaded
    }
}

@Suite("SuccessionMessage: each kind comes back as it was, and nonsense is refused")
struct SuccessionMessageTests {
    private static let samples = SuccessionSamples.all { PassedDescriptors() }

    private static func read(_ bytes: [UInt8]) throws(SuccessionFailure) -> [SuccessionMessage] {
        var reader = SuccessionReader(bytes)
        var messages: [SuccessionMessage] = []
        while let message = try reader.next(withDescriptors: false) { messages.append(message) }
        return messages
    }

    /// A message with the number of descriptors that its head has to name.
    private static func bytes(_ message: SuccessionMessage) -> [UInt8] {
        var bytes = message.bytes
        bytes[6] = UInt8(message.kind.descriptors)
        return bytes
    }

    @Test("there is a sample of every kind, and all come back")
    func samples() throws {
        #expect(Set(Self.samples.map(\.kind)) == Set(SuccessionMessage.Kind.allCases))
        let all = Self.samples.flatMap { Self.bytes($0) }
        let read = try Self.read(all)
        #expect(read.map { "\($0.kind)" } == Self.samples.map { "\($0.kind)" })
        #expect(read.flatMap { Self.bytes($0) } == all)
        guard case .hello(let greeting)? = read.first else { throw Errno(EBADMSG) }
        #expect(greeting == SuccessionSamples.greeting)
    }

    @Test("fields of a newer program are passed over, and missing ones have a default")
    func fields() throws {
        var bytes = SuccessionMessage.received(5).bytes
        bytes += [0xEE, 0xFF, 3, 0, 0, 0, 9, 9, 9]
        bytes[0] = UInt8(bytes.count - SuccessionMessage.headLength)
        guard case .received(5)? = try Self.read(bytes).first else { throw Errno(EBADMSG) }
        let empty: [UInt8] = [0, 0, 0, 0, 1, 0, 0, 0]
        guard case .hello(let greeting)? = try Self.read(empty).first else { throw Errno(EBADMSG) }
        #expect(greeting == SuccessionMessage.Greeting(version: 0, leastVersion: 0))
    }

    @Test("of kinds that nobody knows here, those of the upper half are passed over, the others are an error")
    func kinds() throws {
        let ready = SuccessionMessage.ready([]).bytes
        let unknown: [UInt8] = [2, 0, 0, 0, 0xFE, 0xFF, 0, 0, 1, 2]
        #expect(try Self.read(unknown + ready).count == 1)
        #expect(throws: SuccessionFailure.frame("the kind 99 is unknown")) {
            _ = try Self.read([0, 0, 0, 0, 99, 0, 0, 0])
        }
        // Nobody keeps bytes for a message that would be passed over.
        #expect(throws: SuccessionFailure.self) { _ = try Self.read([255, 255, 255, 0, 0xFE, 0xFF, 0, 0]) }
    }

    @Test("every beginning of a message waits for its rest, and changes nothing")
    func truncated() throws {
        for message in Self.samples {
            let bytes = Self.bytes(message)
            for cut in 0..<bytes.count { #expect(try Self.read(Array(bytes[..<cut])).isEmpty) }
        }
    }

    @Test("a message that is cut inside, whose length says otherwise, is refused, or has its defaults")
    func cutInside() {
        for message in Self.samples {
            let bytes = Self.bytes(message)
            for cut in SuccessionMessage.headLength..<bytes.count {
                var short = Array(bytes[..<cut])
                let length = UInt32(cut - SuccessionMessage.headLength)
                for index in 0..<4 { short[index] = UInt8(truncatingIfNeeded: length >> UInt32(index * 8)) }
                _ = try? Self.read(short)
            }
        }
    }

    @Test("any byte may be any other: a message or an error comes of it")
    func flipped() {
        for message in Self.samples {
            let bytes = Self.bytes(message)
            for index in bytes.indices {
                for mask in [0x01, 0x80, 0xFF, 0x7F] as [UInt8] {
                    var damaged = bytes
                    damaged[index] ^= mask
                    _ = try? Self.read(damaged)
                }
            }
        }
    }

    @Test("random bytes are no message, or one")
    func random() {
        var random = SeededRandom(seed: 12)
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0..<64, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            // Often enough something gets as far as the fields.
            if bytes.count > 8 {
                (bytes[0], bytes[1], bytes[2], bytes[3]) = (UInt8(bytes.count - 8), 0, 0, 0)
                (bytes[4], bytes[5], bytes[6], bytes[7]) = (bytes[4] % 13, bytes[5] % 2, 0, 0)
            }
            _ = try? Self.read(bytes)
        }
    }

    @Test("what cannot be is said with the field it is in")
    func failures() {
        let text: [UInt8] = [8, 0, 0, 0, 12, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0xFF, 0xFE]
        #expect(throws: SuccessionFailure.field(message: "abort", reason: "field 1 is not UTF-8")) {
            _ = try Self.read(text)
        }
        let worker: [UInt8] = [8, 0, 0, 0, 13, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 1]
        #expect(throws: SuccessionFailure.field(message: "slots", reason: "field 1 is 256, more than 255")) {
            _ = try Self.read(worker)
        }
        let record: [UInt8] = [0, 0, 0, 0, 7, 0, 1, 0]
        #expect(throws: SuccessionFailure.field(message: "connection", reason: "field 3 is missing")) {
            _ = try Self.read(record)
        }
        let long: [UInt8] = [7, 0, 0, 0, 13, 0, 0, 0, 1, 0, 255, 255, 255, 255, 0]
        #expect(
            throws: SuccessionFailure.field(
                message: "slots", reason: "field 1 is said to have 4294967295 bytes, of which 1 are there")
        ) { _ = try Self.read(long) }
        #expect(throws: SuccessionFailure.self) { _ = try Self.read([0xFF, 0xFF, 0xFF, 0xFF, 11, 0, 0, 0]) }
        #expect(throws: SuccessionFailure.self) { _ = try Self.read([0, 0, 0, 0, 11, 0, 1, 0]) }
    }

    @Test("a program to be started has a path from the root, variables with names, and no NUL")
    func programs() throws {
        let good = ChildProgram(path: "/a", arguments: ["x"], variables: ["N": "v"])
        let bad = [
            ChildProgram(path: "a", arguments: []), ChildProgram(path: "/a\0b", arguments: []),
            ChildProgram(path: "/a", arguments: ["x\0"]), ChildProgram(path: "/a", arguments: [], variables: ["": "v"]),
            ChildProgram(path: "/a", arguments: [], variables: ["N": "\0"]),
        ]
        guard case .start(good, _)? = try Self.read(Self.bytes(.start(good, PassedDescriptors()))).first else {
            throw Errno(EBADMSG)
        }
        for program in bad {
            #expect(throws: SuccessionFailure.self) {
                _ = try Self.read(Self.bytes(.start(program, PassedDescriptors())))
            }
        }
        #expect(throws: SuccessionFailure.self) { _ = try Self.read(Self.bytes(.serves(process: 0))) }
        #expect(throws: SuccessionFailure.self) { _ = try Self.read(Self.bytes(.serves(process: 1 << 31))) }
    }

    @Test("two programs that do not understand each other say so")
    func versions() {
        let ours = SuccessionMessage.Greeting(version: 3, leastVersion: 2)
        #expect(ours.objection(.init(version: 3, leastVersion: 3)) == nil)
        #expect(ours.objection(.init(version: 9, leastVersion: 2)) == nil)
        #expect(ours.objection(.init(version: 2, leastVersion: 1)) == nil)
        #expect(ours.objection(.init(version: 1, leastVersion: 1)) != nil)
        #expect(ours.objection(.init(version: 9, leastVersion: 4)) != nil)
    }
}
