import TestSupport
import Testing
import WebSocket

@Suite("RFC 7692 6: RSV1 is set on the first frame of a compressed message")
struct CompressedFramesTests {
    private enum Seen: Equatable {
        case message(Opcode, [UInt8], isCompressed: Bool)
        case control(Opcode)
        case violation(ProtocolViolation)
    }

    private func read(
        _ frames: [ClientFrame], cut: Int = .max, allows: Bool = true,
        limits: FrameReader.Limits = .init(frame: 1 << 20, message: 1 << 20)
    ) -> [Seen] {
        var reader = FrameReader()
        if allows { reader.allowCompression() }
        var (seen, message, rest) = ([Seen](), [UInt8](), [UInt8]())
        let stream = frames.flatMap(\.bytes)
        for run in stride(from: 0, to: stream.count, by: min(cut, stream.count)) {
            rest += stream[run..<min(stream.count, run + min(cut, stream.count))]
            var position = 0
            reading: while true {
                switch rest.withUnsafeMutableBytes({ reader.next(in: $0, from: &position, limits: limits) }) {
                case .needMore: break reading
                case .control(let opcode, _, _): seen.append(.control(opcode))
                case .violation(let violation): return seen + [.violation(violation)]
                case .piece(let piece):
                    message += rest[piece.start..<piece.start + piece.count]
                    #expect(reader.isCompressed == piece.isCompressed)
                    guard piece.isLast else { continue }
                    seen.append(.message(piece.kind, message, isCompressed: piece.isCompressed))
                    message = []
                }
            }
            rest.removeFirst(position)
        }
        return seen
    }

    private static func frame(
        _ opcode: UInt8, _ payload: [UInt8], _ reserved: UInt8 = 0, isFinal: Bool = true
    ) -> ClientFrame {
        ClientFrame(opcode, payload, isFinal: isFinal).with { $0.reserved = reserved }
    }

    @Test(arguments: [1, 2, 3, 5, .max])
    func `messages of both kinds follow each other`(cut: Int) {
        let frames = [
            Self.frame(1, [1, 2, 3], 0b100), Self.frame(2, [4]), Self.frame(2, [5], 0b100, isFinal: false),
            Self.frame(9, []), Self.frame(0, [6], isFinal: false), Self.frame(0, []),
            Self.frame(1, [7], isFinal: false),
            Self.frame(0, [8]), Self.frame(1, [], 0b100),
        ]
        #expect(
            read(frames, cut: cut) == [
                .message(.text, [1, 2, 3], isCompressed: true), .message(.binary, [4], isCompressed: false),
                .control(.ping), .message(.binary, [5, 6], isCompressed: true),
                .message(.text, [7, 8], isCompressed: false), .message(.text, [], isCompressed: true),
            ])
    }

    @Test(arguments: [0b001, 0b010, 0b011, 0b101, 0b110, 0b111] as [UInt8], [1, 2])
    func `other bits are reserved`(bits: UInt8, opcode: UInt8) {
        #expect(read([Self.frame(opcode, [1], bits)]) == [.violation(.reservedBits)])
    }

    @Test(arguments: [1, .max])
    func `neither a continuation nor a control frame has it, nor anything when it was not agreed on`(cut: Int) {
        let reserved: [Seen] = [.violation(.reservedBits)]
        #expect(read([Self.frame(1, [1], 0b100, isFinal: false), Self.frame(0, [2], 0b100)], cut: cut) == reserved)
        for opcode in [8, 9, 10] as [UInt8] { #expect(read([Self.frame(opcode, [], 0b100)], cut: cut) == reserved) }
        for opcode in [1, 2] as [UInt8] {
            #expect(read([Self.frame(opcode, [1], 0b100)], cut: cut, allows: false) == reserved)
        }
    }

    @Test func `a message may grow a little by being compressed, and no more`() {
        let limits = FrameReader.Limits(frame: 160, message: 160)
        let most = 160 + 10 + 64
        let fits = [UInt8](repeating: 1, count: most)
        #expect(read([Self.frame(2, fits, 0b100)], limits: limits) == [.message(.binary, fits, isCompressed: true)])
        #expect(read([Self.frame(2, fits + [1], 0b100)], limits: limits) == [.violation(.messageTooBig)])
        #expect(
            read([Self.frame(2, fits, 0b100, isFinal: false), Self.frame(0, [1])], limits: limits)
                == [.violation(.messageTooBig)])
        #expect(read([Self.frame(2, Array(fits[..<161]))], limits: limits) == [.violation(.messageTooBig)])
    }
}
