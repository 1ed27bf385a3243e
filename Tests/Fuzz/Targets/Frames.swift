import Bytes
import WebSocket

/// What a client's bytes came to: whole messages and control frames in their order, and how it ended.
private struct Heard: Equatable {
    var events: [Event] = []
    var violation: ProtocolViolation?

    enum Event: Equatable {
        case message(Opcode, [UInt8])
        case control(Opcode, [UInt8])
    }
}

/// Frames come to the same messages however packets cut them, and the short way for whole messages agrees with the
/// reader.
func tryFrames(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    let message = 1 << input.number(below: 20)
    let limits = FrameReader.Limits(frame: min(message, 1 << input.number(below: 20)), message: message)
    let checksText = input.byte() & 1 == 0
    var cuts = Cuts(&input)
    let stream = input.all()
    let whole = read(stream, limits, checksText) { $0 }
    let cut = read(stream, limits, checksText) { cuts.next(of: $0) }
    // What is wrong with a message may be seen before what is wrong with the frame behind a cut, so only what was
    // delivered before has to be the same.
    precondition(whole.events == cut.events, "cutting changes messages: \(whole) or \(cut)")
    precondition((whole.violation == nil) == (cut.violation == nil), "cutting changes what is refused")
    compareFront(stream, limits)
    return 0
}

private func read(
    _ stream: [UInt8], _ limits: FrameReader.Limits, _ checksText: Bool, _ part: (Int) -> Int
) -> Heard {
    var reader = FrameReader()
    var assembler = MessageAssembler()
    var cache = LargeBufferCache()
    var heard = Heard()
    var (waiting, taken): ([UInt8], Int) = ([], 0)
    while taken < stream.count, heard.violation == nil {
        let count = part(stream.count - taken)
        waiting += stream[taken..<taken + count]
        taken += count
        var position = 0
        waiting.withUnsafeMutableBytes { buffer in
            loop: while position < buffer.count {
                switch reader.next(in: buffer, from: &position, limits: limits) {
                case .needMore: break loop
                case .violation(let violation):
                    heard.violation = violation
                    break loop
                case .control(let opcode, let start, let count):
                    precondition(count <= 125, "a control frame is short")
                    heard.events.append(.control(opcode, Array(buffer[start..<start + count])))
                case .piece(let piece):
                    let payload = UnsafeRawBufferPointer(rebasing: buffer[piece.start..<piece.start + piece.count])
                    let outcome = assembler.join(
                        piece, payload, remaining: reader.remaining, checksText: checksText, largeBuffers: &cache)
                    switch outcome {
                    case .whole: heard.events.append(.message(piece.kind, Array(payload)))
                    case .assembled:
                        heard.events.append(.message(piece.kind, copy(assembler.takeMessage())))
                    case .incomplete: precondition(assembler.count <= limits.message, "more is kept than may come")
                    case .invalidUTF8:
                        heard.violation = .invalidUTF8
                        break loop
                    }
                }
            }
        }
        waiting.removeFirst(position)
        precondition(heard.violation != nil || waiting.count < 140, "more is kept than the front of a frame")
    }
    return heard
}

/// The frame in front, read both ways.
private func compareFront(_ stream: [UInt8], _ limits: FrameReader.Limits) {
    var (short, long) = (stream, stream)
    let quick: (kind: UInt8, payload: [UInt8], length: Int)? = short.withUnsafeMutableBytes { buffer in
        guard let base = buffer.baseAddress, let frame = WholeFrame(at: base, left: buffer.count) else { return nil }
        let payload = base + frame.headerLength
        _ = frame.unmask(from: payload, to: payload)
        return (frame.kind, Array(UnsafeRawBufferPointer(start: payload, count: frame.payloadLength)), frame.length)
    }
    guard let quick, quick.payload.count <= min(limits.frame, limits.message) else { return }
    long.withUnsafeMutableBytes { buffer in
        var reader = FrameReader()
        var position = 0
        guard case .piece(let piece) = reader.next(in: buffer, from: &position, limits: limits) else {
            preconditionFailure("the short way takes a frame that the reader does not")
        }
        precondition(piece.isFirst && piece.isLast && piece.kind.rawValue == quick.kind, "it takes it for another")
        precondition(Array(buffer[piece.start..<piece.start + piece.count]) == quick.payload, "it unmasks otherwise")
        precondition(position == quick.length, "it ends elsewhere")
    }
}
