import Bytes
import WebSocket

/// The gateway's end of the WebSocket of an open dashboard, as bytes in and bytes out: it tells and does not listen.
///
/// What a page may say is nothing; what the protocol wants to hear is answered.
struct LiveStream: ~Copyable {
    /// Nobody has anything to say that is longer.
    private static let limits = FrameReader.Limits(frame: 1024, message: 1024)

    private var reader = FrameReader()
    /// The Close that was said, if one was: nothing follows it.
    private(set) var hasClosed = false

    /// Reads what came and takes it out of `bytes`; what is to be answered goes behind `output`.
    mutating func read(_ bytes: inout [UInt8], answering output: inout [UInt8]) {
        var position = 0
        while !hasClosed {
            let event = unsafe bytes.withUnsafeMutableBytes {
                unsafe reader.next(in: $0, from: &position, limits: Self.limits)
            }
            switch event {
            case .needMore:
                bytes.removeFirst(position)
                return
            case .piece: continue
            case .control(let opcode, let start, let count):
                answer(opcode, bytes[start..<start + count], &output)
            case .violation(let violation): close(violation.closeCode, &output)
            }
        }
        bytes = []
    }

    private mutating func answer(_ opcode: Opcode, _ payload: ArraySlice<UInt8>, _ output: inout [UInt8]) {
        switch opcode {
        // RFC 6455 5.5.3: a pong has what the ping had.
        case .ping: Self.append(.pong, payload, to: &output)
        case .close:
            let parsed = unsafe payload.withUnsafeBytes { unsafe ClosePayload.parse($0) }
            switch parsed {
            // RFC 6455 5.5.1: the code of the peer is answered; without one there is none to answer.
            case .success(let close) where close.code == CloseCode.none:
                hasClosed = true
                Self.append(.close, [], to: &output)
            case .success(let close): self.close(close.code, &output)
            case .failure(let violation): close(violation.closeCode, &output)
            }
        case .pong, .text, .binary, .continuation: break
        }
    }

    /// Says Close, once.
    mutating func close(_ code: UInt16, _ output: inout [UInt8]) {
        if hasClosed { return }
        hasClosed = true
        Self.append(.close, [UInt8(code >> 8), UInt8(code & 0xFF)], to: &output)
    }

    /// A whole frame behind `output`.
    static func append(_ opcode: Opcode, _ payload: some Collection<UInt8>, to output: inout [UInt8]) {
        let header = FrameWriter(opcode, isFinal: true, payloadLength: payload.count)
        for index in 0..<header.count {
            output.append(
                index < 8
                    ? UInt8(truncatingIfNeeded: header.low >> (8 * UInt64(index)))
                    : UInt8(truncatingIfNeeded: header.high >> (8 * UInt16(index - 8))))
        }
        output.append(contentsOf: payload)
    }
}
