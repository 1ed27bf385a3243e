import TestSupport
import Testing
import WebSocket

/// What a stream of frames came to, whatever way its bytes were cut.
enum Seen: Equatable {
    case message(Opcode, [UInt8])
    case control(Opcode, [UInt8])
    case violation(ProtocolViolation)
    /// The stream ended inside this message.
    case unfinished(Opcode, [UInt8])
}

/// Drives a reader as its caller does: hands over what arrived behind what was left, keeps what was not used.
struct FrameSession: ~Copyable {
    /// How bytes of a payload under way reach the reader.
    enum Way: CaseIterable {
        case buffer
        /// With `take`, as if they were read straight into their place.
        case place
    }

    private var reader = FrameReader()
    private var left: [UInt8] = []
    private var message: (kind: Opcode, bytes: [UInt8])?
    private var isOver = false
    private var seen: [Seen] = []
    private let limits: FrameReader.Limits
    private let way: Way
    /// Each part is read by a reader that goes on where the one before stood.
    private let resumes: Bool

    init(
        limits: FrameReader.Limits = .init(frame: 1 << 20, message: 1 << 20), way: Way = .buffer, resumes: Bool = false
    ) {
        self.limits = limits
        self.way = way
        self.resumes = resumes
    }

    /// Runs a whole stream, cut behind each of the positions.
    static func run(
        _ bytes: [UInt8], cuts: [Int] = [], limits: FrameReader.Limits = .init(frame: 1 << 20, message: 1 << 20),
        way: Way = .buffer, resumes: Bool = false
    ) -> [Seen] {
        var session = FrameSession(limits: limits, way: way, resumes: resumes)
        var start = 0
        for end in cuts + [bytes.count] {
            session.feed(Array(bytes[start..<end]))
            start = end
        }
        return session.finish()
    }

    private mutating func resume() {
        guard let next = FrameReader(resuming: reader.snapshot) else {
            Issue.record("a reader stands where no other one can")
            return
        }
        reader = next
    }

    mutating func feed(_ arrived: [UInt8]) {
        if isOver { return }
        if resumes { resume() }
        var arrived = arrived
        if way == .place, reader.remaining > 0 {
            #expect(left.isEmpty, "nothing is left over inside a payload")
            var here = Array(arrived.prefix(reader.remaining))
            arrived.removeFirst(here.count)
            let piece = here.withUnsafeMutableBytes { reader.take($0) }
            note(piece, here)
            if arrived.isEmpty { return }
        }
        var buffer = left + arrived
        var position = 0
        var steps = 0
        stepping: while true {
            steps += 1
            guard steps <= buffer.count + 2 else {
                Issue.record("more steps than bytes: the reader does not come to an end")
                isOver = true
                return
            }
            let event = buffer.withUnsafeMutableBytes { reader.next(in: $0, from: &position, limits: limits) }
            switch event {
            case .needMore: break stepping
            case .piece(let piece): note(piece, Array(buffer[piece.start..<piece.start + piece.count]))
            case .control(let opcode, let start, let count):
                seen.append(.control(opcode, Array(buffer[start..<start + count])))
            case .violation(let violation):
                seen.append(.violation(violation))
                isOver = true
                return
            }
        }
        left = Array(buffer[position...])
        #expect(left.count < 140, "only headers and control frames are waited for")
    }

    private mutating func note(_ piece: FrameReader.Piece, _ bytes: [UInt8]) {
        #expect(piece.isFirst == (message == nil), "the first piece of a message says so, and no other")
        #expect(piece.kind == .text || piece.kind == .binary)
        if let message { #expect(piece.kind == message.kind, "a message keeps its kind") }
        let whole = (message?.bytes ?? []) + bytes
        message = piece.isLast ? nil : (piece.kind, whole)
        if piece.isLast { seen.append(.message(piece.kind, whole)) }
        #expect(reader.isInsideMessage == (message != nil))
    }

    consuming func finish() -> [Seen] {
        if let message, !isOver { seen.append(.unfinished(message.kind, message.bytes)) }
        return seen
    }
}
