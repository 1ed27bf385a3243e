import Bytes
import TestSupport
import Testing
import WebSocket

@Suite("RFC 6455 5.4 and 8.1: pieces become messages, and text is held to UTF-8")
struct MessageAssemblerTests {
    struct Row: CustomTestStringConvertible {
        let what: String
        let frames: [ClientFrame]
        /// The messages, up to the piece that fails.
        let messages: [[UInt8]]
        var fails = false
        var testDescription: String { what }
    }

    static let long = String(repeating: "añ€😀", count: 3000)

    static func text(_ bytes: [UInt8], _ isFinal: Bool = true) -> ClientFrame {
        ClientFrame(1, bytes, isFinal: isFinal)
    }
    static func more(_ bytes: [UInt8], _ isFinal: Bool = true) -> ClientFrame {
        ClientFrame(0, bytes, isFinal: isFinal)
    }

    static let euro = Array("€".utf8)

    static let rows: [Row] = [
        Row(what: "one text", frames: [text(Array("Hello".utf8))], messages: [Array("Hello".utf8)]),
        Row(what: "nothing in it", frames: [text([]), ClientFrame(2)], messages: [[], []]),
        Row(what: "one that is long", frames: [text(Array(long.utf8))], messages: [Array(long.utf8)]),
        Row(
            what: "fragments of a character",
            frames: [text([euro[0]], false), more([euro[1]], false), more([], false), more([euro[2]])],
            messages: [euro]),
        Row(what: "text that ends inside a character", frames: [text(Array(euro[..<2]))], messages: [], fails: true),
        Row(
            what: "a message, and then one that is none", frames: [text(euro), text([0xFF])], messages: [euro],
            fails: true),
        Row(
            what: "a fragment that no continuation can mend",
            frames: [text([0x61], false), more([0xC0, 0x80], false), more([0x62])], messages: [], fails: true),
        Row(
            what: "binary is not looked at",
            frames: [ClientFrame(2, [0xFF, 0xC0], isFinal: false), more([0x80])], messages: [[0xFF, 0xC0, 0x80]]),
        Row(
            what: "what was held of one message is not the next one's",
            frames: [text([euro[0]], false), more([euro[1], euro[2]]), text([0x61], false), more([0x62])],
            messages: [euro, [0x61, 0x62]]),
    ]

    /// Reads a stream that comes in runs, and gives each piece to `take`; false ends it.
    private func read(
        _ stream: [UInt8], runs: (Int) -> Int, _ take: (borrowing FrameReader, FrameReader.Piece, [UInt8]) -> Bool
    ) {
        var reader = FrameReader()
        var (rest, start) = ([UInt8](), 0)
        while start < stream.count {
            let end = min(stream.count, start + max(1, runs(start)))
            rest += stream[start..<end]
            start = end
            var position = 0
            reading: while true {
                let event = rest.withUnsafeMutableBytes {
                    reader.next(in: $0, from: &position, limits: .init(frame: 1 << 20, message: 1 << 20))
                }
                switch event {
                case .piece(let piece):
                    if !take(reader, piece, Array(rest[piece.start..<piece.start + piece.count])) { return }
                case .needMore: break reading
                case .control, .violation: Issue.record("\(event)")
                }
            }
            rest.removeFirst(position)
        }
    }

    private func joined(_ stream: [UInt8], runs: (Int) -> Int) -> (messages: [[UInt8]], fails: Bool) {
        var assembler = MessageAssembler()
        var largeBuffers = LargeBufferCache()
        var (messages, fails) = ([[UInt8]](), false)
        read(stream, runs: runs) { reader, piece, payload in
            let outcome = payload.withUnsafeBytes {
                assembler.join(piece, $0, remaining: reader.remaining, checksText: true, largeBuffers: &largeBuffers)
            }
            switch outcome {
            case .whole: messages.append(payload)
            case .assembled:
                let message = assembler.takeMessage()
                messages.append(Array(message.bytes))
            case .incomplete: break
            case .invalidUTF8: fails = true
            }
            return !fails
        }
        return (messages, fails)
    }

    private func passed(_ stream: [UInt8], runs: (Int) -> Int) -> (messages: [[UInt8]], fails: Bool) {
        var assembler = MessageAssembler()
        var (messages, message, fails) = ([[UInt8]](), [UInt8](), false)
        read(stream, runs: runs) { _, piece, payload in
            var part: [UInt8] = payload
            payload.withUnsafeBytes {
                switch assembler.pass(piece, $0, checksText: true) {
                case .asItIs: break
                case .joined(let joined, let count): part = Array(joined.bytes[..<count])
                case .invalidUTF8: fails = true
                }
            }
            if fails { return false }
            // Each part of a text is a text.
            if piece.kind == .text { #expect(part.withUnsafeBytes { UTF8Checker.isValid($0) }) }
            message += part
            if piece.isLast { (messages, message) = (messages + [message], []) }
            return true
        }
        return (messages, fails)
    }

    @Test(arguments: rows)
    func `whole, byte by byte, and cut everywhere`(_ row: Row) {
        let stream = row.frames.flatMap(\.bytes)
        var cuts: [(Int) -> Int] = [{ _ in stream.count }, { _ in 1 }, { _ in 3 }, { $0 % 7 + 1 }]
        if stream.count < 100 { cuts += (1..<stream.count).map { cut in { $0 == 0 ? cut : stream.count } } }
        for runs in cuts {
            for seen in [joined(stream, runs: runs), passed(stream, runs: runs)] {
                #expect(seen.messages == row.messages)
                #expect(seen.fails == row.fails)
            }
        }
    }

    @Test func `what a header claims is not reserved before half of it has come`() {
        var assembler = MessageAssembler()
        var largeBuffers = LargeBufferCache()
        let piece = FrameReader.Piece(start: 0, count: 3, kind: .binary, isFirst: true, isLast: false)
        let outcome = [UInt8](repeating: 1, count: 3).withUnsafeBytes {
            assembler.join(piece, $0, remaining: 1 << 30, checksText: true, largeBuffers: &largeBuffers)
        }
        #expect(outcome == .incomplete)
        #expect(assembler.room(for: 1 << 30).count <= 2 * MessageAssembler.largeSize)
        let room = assembler.room(for: 5)
        #expect(room.count == 5)
        room.copyBytes(from: [2, 2, 2, 2, 2])
        let last = FrameReader.Piece(start: 0, count: 5, kind: .binary, isFirst: false, isLast: true)
        #expect(assembler.fill(last, UnsafeRawBufferPointer(room), checksText: true) == .assembled)
        // By name, and used behind the copy: the bytes of a buffer that is done with may be freed before they are copied.
        let message = assembler.takeMessage()
        let bytes = Array(message.bytes)
        let count = message.count
        #expect(bytes == [1, 1, 1, 2, 2, 2, 2, 2] && count == 8)
        #expect(assembler.count == 0)
    }
}
