import Bytes
import GatewayIO
import Glibc
import TestSupport
import Testing
import WebSocket

@testable import GatewayServer

@Suite("What a worker writes down of a connection is what that is, at every moment")
struct LedgerPageTests {
    // MARK: The same as the connection

    /// What could go to another process, without its times.
    private static func bare(_ record: ConnectionRecord) -> ConnectionRecord {
        var record = record
        record.times = TimeRecord()
        // How long the last message was, and how it was masked, is of no use to anybody.
        if record.input.frames.kind == .continuation {
            (record.input.frames.messageLength, record.input.frames.key) = (0, 0)
        }
        record.compression?.received = []
        record.compression?.sent = []
        for index in (record.handler?.timers ?? []).indices { record.handler?.timers[index].dueIn = 0 }
        return record
    }

    /// Whether what is written of a connection is what it is.
    private func isFaithful(_ peer: StepWorker.Peer, _ steps: StepWorker) throws -> Bool {
        guard let id = peer.id else { return false }
        guard let place = peer.place else { return try steps.finding(id) == .gone }
        switch try steps.finding(id) {
        case .goesOn(var record):
            var expected = steps.worker.exporter.record(place, on: steps.worker)
            if place.pointee.phase == .open, let binding = place.pointee.binding {
                expected.handler = steps.worker.exporter.handlerRecord(place, binding, on: steps.worker)
            }
            record.handler?.state = nil
            let isSame = Self.bare(record) == Self.bare(expected)
            if !isSame { Issue.record("\(Self.bare(record))\nis not\n\(Self.bare(expected))") }
            return isSame
        case .lost(_, let record):
            let outbox = place.pointee.outbox.count
            if let record { return record.output.unsent == place.pointee.outbox.unsent }
            return outbox > 64 * 1024
        case .absent, .arriving, .gone, .given, .died: return false
        }
    }

    private static let words = [
        "sub a", "sub b", "unsub a", "pub a hello", "pub b there", "pubx a you", "timer 5 100 0", "timer 6 40 40",
        "cancel",
        "say something", "post 3 it", "thread say else", "thread timer 9 50 0", "thread pub a threaded", "nothing",
        "end .",
        "open <", "flood a 5 3000", "flood b 30 3000", "topics",
    ]

    @Test(arguments: ["", "slow_consumer drop_old; send_buffer 16k;", "slow_consumer pause_reads; send_buffer 64k;"])
    func `whatever its handler, its peer and others do`(_ route: String) throws {
        var random = SeededRandom(seed: 11)
        let steps = try StepWorker(
            handler: "fixture_errands", route: route, rest: "defaults { ping_interval off; }", checkpoint: .message)
        var peers = (0..<4).map { _ in steps.open(window: 4000) }
        for round in 0..<400 {
            let index = Int.random(in: 0..<peers.count, using: &random)
            let peer = peers[index]
            switch Int.random(in: 0..<12, using: &random) {
            case 0: peer.widen(by: Int.random(in: 1...9000, using: &random))
            case 1: peer.widen(by: 200_000)
            case 2: peer.stall()
            case 3:
                peer.finish()
                steps.step()
                #expect(try isFaithful(peer, steps), "round \(round): it has gone")
                peers[index] = steps.open(window: 4000)
            case 4:
                peer.say(Array(ClientFrame(1, Array("no".utf8)).bytes.prefix(Int.random(in: 1...7, using: &random))))
                steps.step()
                #expect(try isFaithful(peer, steps), "round \(round): half a frame")
                // The rest never comes.
                peer.finish()
                steps.step()
                peers[index] = steps.open(window: 4000)
            default:
                let count = Int.random(in: 1...3, using: &random)
                for _ in 0..<count { peer.say(Self.words.randomElement(using: &random) ?? "") }
            }
            steps.step(after: round % 7 == 0 ? 50 : 0)
            for peer in peers { #expect(try isFaithful(peer, steps), "round \(round)") }
        }
    }

    @Test func `output as the peer takes it, up to 64 KiB`() throws {
        let steps = try StepWorker(route: "send_buffer 1m;", checkpoint: .off)
        let peer = steps.open(window: 200)
        _ = peer.frames()
        func unsent() throws -> [UInt8]? {
            guard let id = peer.id, case .goesOn(let record) = try steps.finding(id) else { return nil }
            return record.output.unsent
        }
        #expect(try unsent() == [])
        let text = String(repeating: "x", count: 1000)
        peer.say(text)
        steps.step()
        var expected = try #require(peer.place).pointee.outbox.unsent
        #expect(try expected.count > 900 && unsent() == expected)
        // What leaves of that is known by the count alone.
        for step in [1, 10, 300] {
            peer.widen(by: step)
            expected.removeFirst(step)
            steps.step()
            #expect(try unsent() == expected)
        }
        for _ in 0..<70 {
            peer.say(text)
            steps.step()
        }
        #expect(try unsent() == nil)
        guard let id = peer.id, case .lost(let why, nil) = try steps.finding(id) else {
            Issue.record("it is not lost")
            return
        }
        #expect(why == "more waited for its peer than is kept")
        peer.widen(by: 20_000)
        steps.step()
        #expect(try unsent() == peer.place?.pointee.outbox.unsent)
        peer.widen(by: 200_000)
        steps.step()
        #expect(try unsent() == [])
        // The same blocks do for whatever comes.
        let before = try #require(steps.worker.ledger).arena
        for _ in 0..<100 {
            peer.stall()
            peer.say(text)
            steps.step()
            peer.widen(by: 200_000)
            steps.step()
        }
        #expect(try #require(steps.worker.ledger).arena.used == before.used)
    }

    @Test func `what stands in the way is said, and a Close can still be`() throws {
        let survival = try Survival("fixture_errands")
        let (peer, other) = (survival.open(), survival.open())
        func why(_ peer: SocketPeer) throws -> String? { try survival.finding(peer).loss }
        peer.say("open <")
        survival.old.step()
        #expect(try why(peer) == LedgerObstacle.halfSent.sentence)
        peer.say("end >")
        survival.old.step()
        #expect(try why(peer) == nil)
        peer.say("work 5")
        survival.old.step()
        #expect(try why(peer) == LedgerObstacle.job.sentence)
        other.say("go")
        #expect(
            try eventually {
                survival.old.step()
                return try why(peer) == nil
            })
        let id = peer.id
        survival.old.onWorker {
            _ = survival.old.host().post(
                survival.old.binding().pointee.instanceID, id.number, 1, nil, 0)
        }
        let place = try #require(peer.place(in: survival.old))
        survival.old.worker.ledger?.commit(place, on: survival.old.worker)
        #expect(try why(peer) == LedgerObstacle.event.sentence)
        survival.old.step()
        #expect(try why(peer) == nil)
    }

    @Test func `a message that is given piece by piece is whole, or lost`() throws {
        let survival = try Survival("fixture_counter_stream_v1")
        let peer = survival.open()
        peer.say(ClientFrame(1, Array("a".utf8), isFinal: false).bytes)
        survival.old.step()
        guard case .lost(let why, .some(let record)) = try survival.finding(peer) else {
            Issue.record("it goes on")
            return
        }
        #expect(why == LedgerObstacle.halfDelivered.sentence && record.input == InputRecord())
        peer.say(ClientFrame(0, Array("b".utf8)).bytes)
        survival.old.step()
        #expect(try survival.record(peer).handler?.state?.data.prefix(1) == [2])
    }

    // MARK: Compression

    private static let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover"

    /// Long enough that it becomes smaller.
    private static let text = String(repeating: "hello ", count: 30)

    /// A message as a client compresses it.
    private func compressed(_ text: String) throws -> [UInt8] {
        let deflater = try #require(Deflater(.init(level: 6, windowBits: 15), keepsContext: false))
        var packed = ByteBuffer()
        _ = Array(text.utf8).withUnsafeBytes { deflater.deflate($0, into: &packed) }
        return ClientFrame(1, Array(packed.bytes)).with { $0.reserved = 0b100 }.bytes
    }

    @Test func `compression goes on where no message refers to another one`() throws {
        let survival = try Survival("echo", route: "compression on { threshold 1; }")
        let peer = survival.open(headers: "\(Self.offer)\r\n")
        peer.say(try compressed(Self.text))
        survival.old.step()
        let former = peer.frames().map(\.payload)
        try survival.goOn(peer)
        peer.say(try compressed(Self.text))
        survival.new.step()
        // What it is compressed by has gone, which the peer need not know.
        #expect(former.count == 1 && peer.frames().map(\.payload) == former)
        let bytes = try compressed(String(repeating: "hello", count: 100))
        peer.say(Array(bytes.dropLast()))
        survival.new.step()
        #expect(try survival.new.finding(peer.id).loss == LedgerObstacle.halfCompressed.sentence)
        peer.say(Array(bytes.suffix(1)))
        survival.new.step()
        #expect(try survival.new.finding(peer.id).loss == nil)
    }

    @Test func `messages go on to refer to those before the death`() throws {
        let survival = try Survival("echo", route: "compression on { threshold 1; }")
        let peer = survival.open(headers: "Sec-WebSocket-Extensions: permessage-deflate\r\n")
        let deflater = try #require(Deflater(.init(level: 6, windowBits: 15), keepsContext: true))
        let inflater = try #require(Inflater(windowBits: 15, keepsContext: true))
        func say(_ text: String, to worker: StepWorker) throws -> (size: Int, answers: [String]) {
            var packed = ByteBuffer()
            _ = Array(text.utf8).withUnsafeBytes { deflater.deflate($0, into: &packed) }
            peer.say(ClientFrame(1, Array(packed.bytes)).with { $0.reserved = 0b100 }.bytes)
            worker.step()
            let answers = peer.frames().map { frame in
                var text = ByteBuffer()
                let violation = frame.payload.withUnsafeBytes {
                    inflater.inflate($0, isLast: true, into: &text, limit: 1 << 20)
                }
                #expect(violation == nil)
                return String(decoding: Array(text.bytes), as: UTF8.self)
            }
            return (packed.bytes.count, answers)
        }
        let words = (0..<2000).map { "\($0 &* 2_654_435_761)" }.joined(separator: " ")
        let first = try say(words, to: survival.old)
        #expect(first.answers == [words])
        #expect(try survival.record(peer).compression?.received.count == words.utf8.count)
        try survival.goOn(peer)
        let second = try say(words, to: survival.new)
        #expect(second.answers == [words] && second.size < first.size / 10, "it refers to what was said before")
        let short = try say("2654435761 0", to: survival.new)
        #expect(short.answers == ["2654435761 0"])
        let found = try survival.new.finding(peer.id)
        guard case .goesOn(let record) = found else { throw Survival.Failure(description: "\(found)") }
        let window = Array((words + words + "2654435761 0").utf8.suffix(1 << 15))
        #expect(record.compression?.received == window)
        #expect(record.withoutMessage(1) == nil, "what comes behind a message may refer to it")
    }

    // MARK: At every moment

    /// What of a ledger can change, in words.
    private struct Image {
        var words: [Int: UInt64] = [:]

        init(_ file: Int32, _ layout: LedgerLayout) {
            let arena = layout.arena(0).lowerBound
            for range in [0..<layout.inputBytes(0), layout.inputBytes(0) + LedgerLayout.inputRoom..<arena + (1 << 18)] {
                var bytes = [UInt64](repeating: 0, count: range.count / 8)
                _ = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, range.lowerBound) }
                for (index, word) in bytes.enumerated() where word != 0 { words[range.lowerBound + index * 8] = word }
            }
        }

        func write(to file: Int32) {
            for (offset, word) in words {
                var word = word
                pwrite(file, &word, 8, offset)
            }
        }
    }

    private static let say: @Sendable (String) -> [UInt8] = { ClientFrame(1, Array($0.utf8)).bytes }

    @Test(arguments: [
        (["a"], "b"), (["a"], "join"), (["join"], "a"), (["a"], "later"), (["a"], "deaf"), ([], "a"),
    ]) func `the writer may stop at every store: what is read is old or new`(former: [String], text: String) throws {
        var random = SeededRandom(seed: UInt64(text.count))
        let survival = try Survival()
        let peer = survival.open()
        for text in former { peer.say(text) }
        survival.old.step()
        try abandon(survival, peer, Self.say(text), &random)
    }

    @Test func `the same with half a message, and with more of it`() throws {
        var random = SeededRandom(seed: 3)
        let survival = try Survival()
        let peer = survival.open()
        let bytes = ClientFrame(2, [UInt8](repeating: 7, count: 3000)).bytes
        for part in stride(from: 0, to: bytes.count, by: 700) {
            try abandon(survival, peer, Array(bytes[part..<min(part + 700, bytes.count)]), &random)
        }
    }

    private func abandon(
        _ survival: Survival, _ peer: SocketPeer, _ bytes: [UInt8], _ random: inout SeededRandom
    ) throws {
        let layout = LedgerLayout(workers: 1, capacity: 64)
        let sequence = try #require(layout.slot(of: peer.id))
        let before = (image: Image(survival.old.ledger, layout), finding: try survival.finding(peer))
        peer.say(bytes)
        survival.old.step()
        let after = Image(survival.old.ledger, layout)
        let now = survival.old.nanoseconds
        let changed = Set(before.image.words.keys).union(after.words.keys).filter {
            before.image.words[$0] != after.words[$0] && $0 != sequence
        }
        #expect(after.words[sequence] == (before.image.words[sequence] ?? 0) + 1, "it is written down once")
        let copy = try Ledger.makeFile(workers: 1, capacity: 64)
        before.image.write(to: copy.number)
        func finding(_ now: UInt64) throws -> LedgerFinding { try LedgerReader(copy).finding(of: peer.id, at: now) }
        // No store but the last one may change anything, whichever comes first.
        let old = try finding(now)
        #expect(Self.isSame(old, before.finding))
        for offset in changed.shuffled(using: &random) {
            var word = after.words[offset] ?? 0
            pwrite(copy.number, &word, 8, offset)
            if random.once(in: 8) { #expect(try finding(now) == old) }
        }
        #expect(try finding(now) == old)
        var last = after.words[sequence] ?? 0
        pwrite(copy.number, &last, 8, sequence)
        #expect(try finding(now) == survival.finding(peer))
    }

    /// But for how long ago it was.
    private static func isSame(_ one: LedgerFinding, _ other: LedgerFinding) -> Bool {
        guard case .goesOn(let one) = one, case .goesOn(let other) = other else { return one == other }
        return bare(one) == bare(other)
    }
}
