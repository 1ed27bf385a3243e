import TestSupport
import Testing
import WebSocket

private func stream(_ frames: ClientFrame...) -> [UInt8] { frames.flatMap(\.bytes) }
private func text(_ text: String, isFinal: Bool = true) -> ClientFrame {
    ClientFrame(1, Array(text.utf8), isFinal: isFinal)
}
private func more(_ text: String, isFinal: Bool = true) -> ClientFrame {
    ClientFrame(0, Array(text.utf8), isFinal: isFinal)
}
private func ping(_ text: String) -> ClientFrame { ClientFrame(9, Array(text.utf8)) }
private func said(_ text: String) -> Seen { .message(.text, Array(text.utf8)) }
private func pinged(_ text: String) -> Seen { .control(.ping, Array(text.utf8)) }

@Suite("RFC 6455 5.4 to 5.6: frames become messages and control frames")
struct FrameReaderTests {
    struct Row: CustomTestStringConvertible {
        let what: String
        let bytes: [UInt8]
        let seen: [Seen]
        var limits = FrameReader.Limits(frame: 1 << 20, message: 1 << 20)
        var testDescription: String { what }
    }

    static let long = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }

    static let rows: [Row] =
        [
            Row(what: "nothing", bytes: [], seen: []),
            Row(what: "one text", bytes: stream(text("Hello")), seen: [said("Hello")]),
            Row(
                what: "RFC 6455 5.7 example",
                bytes: [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58],
                seen: [said("Hello")]),
            Row(what: "one binary", bytes: stream(ClientFrame(2, long)), seen: [.message(.binary, long)]),
            Row(what: "an empty text", bytes: stream(text("")), seen: [said("")]),
            Row(
                what: "an empty binary, then another", bytes: stream(ClientFrame(2), ClientFrame(2)),
                seen: [.message(.binary, []), .message(.binary, [])]),
            Row(what: "two fragments", bytes: stream(text("Hel", isFinal: false), more("lo")), seen: [said("Hello")]),
            Row(
                what: "empty fragments at every place",
                bytes: stream(text("", isFinal: false), more("", isFinal: false), more("a", isFinal: false), more("")),
                seen: [said("a")]),
            Row(what: "only empty fragments", bytes: stream(text("", isFinal: false), more("")), seen: [said("")]),
            Row(
                what: "a continuation keeps the kind",
                bytes: stream(ClientFrame(2, [1], isFinal: false), ClientFrame(0, [2])),
                seen: [.message(.binary, [1, 2])]),
            Row(
                what: "control frames between fragments",
                bytes: stream(
                    text("Hel", isFinal: false), ping("1"), more("", isFinal: false), ping(""), ClientFrame(10, [5]),
                    more("lo"), ping("2")),
                seen: [pinged("1"), pinged(""), .control(.pong, [5]), said("Hello"), pinged("2")]),
            Row(
                what: "a ping of 125", bytes: stream(ClientFrame(9, Array(long[..<125]))),
                seen: [.control(.ping, Array(long[..<125]))]),
            Row(what: "a close", bytes: stream(ClientFrame(8, [3, 232])), seen: [.control(.close, [3, 232])]),
            Row(
                what: "a message that never ends",
                bytes: stream(text("Hel", isFinal: false), more("lo", isFinal: false)),
                seen: [.unfinished(.text, Array("Hello".utf8))]),
            Row(what: "a header with nothing behind it", bytes: text("Hello").header, seen: [.unfinished(.text, [])]),
            Row(what: "nothing to continue", bytes: stream(more("x")), seen: [.violation(.unexpectedContinuation)]),
            Row(
                what: "nothing to continue after a message", bytes: stream(text("a"), more("x")),
                seen: [said("a"), .violation(.unexpectedContinuation)]),
            Row(
                what: "a second message inside the first", bytes: stream(text("a", isFinal: false), text("b")),
                seen: [.violation(.expectedContinuation)]),
            Row(
                what: "a second message behind an empty fragment",
                bytes: stream(ClientFrame(2, isFinal: false), ClientFrame(2)),
                seen: [.violation(.expectedContinuation)]),
        ]
        + (1...7).flatMap { (reserved: UInt8) in
            ([0, 1, 2, 8, 9, 10] as [UInt8]).map { opcode in
                Row(
                    what: "reserved bits \(reserved) on opcode \(opcode)",
                    bytes: stream(
                        text("a", isFinal: opcode != 0), ClientFrame(opcode).with { $0.reserved = reserved }),
                    seen: (opcode == 0 ? [] : [said("a")]) + [.violation(.reservedBits)])
            }
        }

    @Test("whole, byte by byte, and cut at every point; in the buffer and in place", arguments: rows)
    func row(_ row: Row) {
        for way in FrameSession.Way.allCases {
            // A violation drops the message that was under way, so an unfinished one is not told twice.
            #expect(FrameSession.run(row.bytes, limits: row.limits, way: way) == row.seen)
            let all = Array(0..<row.bytes.count)
            #expect(FrameSession.run(row.bytes, cuts: all, limits: row.limits, way: way) == row.seen, "by byte")
            for cut in all {
                let seen = FrameSession.run(row.bytes, cuts: [cut], limits: row.limits, way: way)
                #expect(seen == row.seen, "cut at \(cut)")
            }
        }
    }

    @Test("lengths at the borders of the three forms", arguments: [125, 126, 127, 128, 65535, 65536, 65537])
    func length(_ length: Int) {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let bytes = stream(ClientFrame(2, payload), text("after"))
        let seen: [Seen] = [.message(.binary, payload), said("after")]
        #expect(FrameSession.run(bytes) == seen)
        for cut in 0..<20 { #expect(FrameSession.run(bytes, cuts: [cut]) == seen) }
        for cut in bytes.count - 20..<bytes.count { #expect(FrameSession.run(bytes, cuts: [cut]) == seen) }
    }

    @Test("the RFC's rules on the header fail the connection here too", arguments: FrameHeaderTests.wrong)
    func brokenHeader(_ row: FrameHeaderTests.Wrong) {
        let bytes = stream(text("first"), row.frame)
        for cut in 0..<bytes.count {
            #expect(FrameSession.run(bytes, cuts: [cut]) == [said("first"), .violation(row.violation)])
        }
    }
}

@Suite("RFC 6455 10.4: limits hold at N - 1, N and N + 1")
struct FrameReaderLimitTests {
    static let limits = FrameReader.Limits(frame: 100, message: 250)

    private func run(_ frames: [ClientFrame]) -> [Seen] {
        FrameSession.run(frames.flatMap(\.bytes), limits: Self.limits)
    }

    @Test("of a frame", arguments: [(99, false), (100, false), (101, true), (Int.max, true)])
    func frame(_ length: Int, isTooBig: Bool) {
        let header = ClientFrame(2).with { $0.claimedLength = UInt64(length) }.header
        // The header alone is enough: nothing of the payload is waited for.
        #expect(
            FrameSession.run(header, limits: Self.limits) == [
                isTooBig ? .violation(.frameTooBig) : .unfinished(.binary, [])
            ])
        if !isTooBig {
            let payload = Array(repeating: UInt8(1), count: length)
            #expect(run([ClientFrame(2, payload)]) == [.message(.binary, payload)])
        }
    }

    @Test("of a message in fragments", arguments: [(49, false), (50, false), (51, true)])
    func message(_ last: Int, isTooBig: Bool) {
        let hundred = Array(repeating: UInt8(7), count: 100)
        let end = Array(repeating: UInt8(8), count: last)
        let seen = run([
            ClientFrame(2, hundred, isFinal: false), ClientFrame(9, [1]), ClientFrame(0, hundred, isFinal: false),
            ClientFrame(0, end),
        ])
        let outcome: Seen = isTooBig ? .violation(.messageTooBig) : .message(.binary, hundred + hundred + end)
        #expect(seen == [.control(.ping, [1]), outcome])
    }

    @Test("each message starts counting anew")
    func anew() {
        let hundred = Array(repeating: UInt8(7), count: 100)
        let frames = Array(repeating: ClientFrame(2, hundred), count: 5)
        #expect(run(frames) == Array(repeating: .message(.binary, hundred), count: 5))
    }

    @Test("fragments that add up beyond Int are too big, not a trap")
    func overflow() {
        let unlimited = FrameReader.Limits(frame: .max, message: .max)
        var reader = FrameReader()
        var bytes = ClientFrame(2, [0], isFinal: false).bytes
        bytes += ClientFrame(0, isFinal: false).with { $0.claimedLength = UInt64(Int.max) }.header
        var position = 0
        let events = bytes.withUnsafeMutableBytes { buffer in
            (0..<2).map { _ in reader.next(in: buffer, from: &position, limits: unlimited) }
        }
        #expect(events.last == .violation(.messageTooBig))
    }

    @Test("control frames do not count against them")
    func control() {
        let pings = Array(repeating: ClientFrame(9, Array(repeating: 1, count: 125)), count: 3)
        #expect(run(pings) == Array(repeating: .control(.ping, Array(repeating: 1, count: 125)), count: 3))
    }

    @Test("65,536 fragments of 64 bytes, and as many empty ones, are one message")
    func manyFragments() {
        for size in [0, 64] {
            let fragment = Array(repeating: UInt8(5), count: size)
            var bytes = ClientFrame(2, fragment, isFinal: false).bytes
            let middle = ClientFrame(0, fragment, isFinal: false).bytes
            for _ in 0..<65534 { bytes += middle }
            bytes += ClientFrame(0, fragment).bytes
            var reader = FrameReader()
            var position = 0
            var total = 0
            var ended = false
            let limits = FrameReader.Limits(frame: 64, message: 65536 * 64)
            bytes.withUnsafeMutableBytes { buffer in
                while case .piece(let piece) = reader.next(in: buffer, from: &position, limits: limits) {
                    total += piece.count
                    ended = piece.isLast
                }
            }
            #expect(total == 65536 * size)
            #expect(ended)
            #expect(position == bytes.count)
        }
    }
}

/// A piece as a test writes it down.
private struct Run: Equatable {
    var start: Int
    var count: Int
    var kind: Opcode
    var isFirst: Bool
    var isLast: Bool

    init(_ start: Int, _ count: Int, _ kind: Opcode, isFirst: Bool, isLast: Bool) {
        (self.start, self.count, self.kind, self.isFirst, self.isLast) = (start, count, kind, isFirst, isLast)
    }

    init(_ piece: FrameReader.Piece) {
        self.init(piece.start, piece.count, piece.kind, isFirst: piece.isFirst, isLast: piece.isLast)
    }

    /// nil for anything that is no piece.
    init?(_ event: FrameReader.Event) {
        guard case .piece(let piece) = event else { return nil }
        self.init(piece)
    }
}

@Suite("A frame reader is lent what is there and no more")
struct FrameReaderContractTests {
    static let limits = FrameReader.Limits(frame: 1 << 20, message: 1 << 20)

    @Test("with nothing there it needs more, also in the middle of a payload")
    func exhausted() {
        var reader = FrameReader()
        var bytes = text("Hello").bytes.dropLast(2).map { $0 }
        var position = 0
        let events = bytes.withUnsafeMutableBytes { buffer in
            (0..<3).map { _ in reader.next(in: buffer, from: &position, limits: Self.limits) }
        }
        #expect(Run(events[0]) == Run(6, 3, .text, isFirst: true, isLast: false))
        #expect(events[1...] == [.needMore, .needMore])
        var none = 0
        let empty = reader.next(
            in: UnsafeMutableRawBufferPointer(start: nil, count: 0), from: &none, limits: Self.limits)
        #expect(empty == .needMore)
        #expect(reader.remaining == 2)
    }

    @Test("it goes on from where it is told, and touches nothing before or behind a frame")
    func position() {
        var reader = FrameReader()
        let frame = text("Hello").bytes
        var bytes = [0xAA, 0xBB] + frame + [0xCC]
        var position = 2
        let event = bytes.withUnsafeMutableBytes { reader.next(in: $0, from: &position, limits: Self.limits) }
        #expect(Run(event) == Run(8, 5, .text, isFirst: true, isLast: true))
        #expect(bytes == [0xAA, 0xBB] + frame[..<6] + Array("Hello".utf8) + [0xCC])
        #expect(position == 13)
    }

    @Test("a control frame that is not whole is left as it came")
    func controlWaits() {
        var reader = FrameReader()
        let frame = ClientFrame(9, Array(1...20)).bytes
        for count in 0..<frame.count {
            var bytes = Array(frame[..<count])
            var position = 0
            let event = bytes.withUnsafeMutableBytes { reader.next(in: $0, from: &position, limits: Self.limits) }
            #expect(event == .needMore)
            #expect(position == 0)
            #expect(bytes == Array(frame[..<count]))
        }
    }

    @Test("bytes taken in their place are unmasked at any cut", arguments: 0...20)
    func take(_ cut: Int) {
        let payload = (0..<20).map { UInt8($0 * 11) }
        let frame = ClientFrame(2, payload).bytes
        var reader = FrameReader()
        var header = Array(frame[..<6])
        var position = 0
        let event = header.withUnsafeMutableBytes { reader.next(in: $0, from: &position, limits: Self.limits) }
        #expect(Run(event) == Run(6, 0, .binary, isFirst: true, isLast: false))
        var first = Array(frame[6..<6 + cut])
        var second = Array(frame[(6 + cut)...])
        let one = first.withUnsafeMutableBytes { reader.take($0) }
        #expect(Run(one) == Run(0, cut, .binary, isFirst: false, isLast: cut == 20))
        if cut < 20 {
            let two = second.withUnsafeMutableBytes { reader.take($0) }
            #expect(Run(two) == Run(0, 20 - cut, .binary, isFirst: false, isLast: true))
        }
        #expect(first + second == payload)
        let inside = reader.isInsideMessage
        #expect(!inside)
        #expect(reader.remaining == 0)
    }
}
