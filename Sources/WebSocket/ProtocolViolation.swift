/// What a peer did wrong on an open connection; each one ends it.
public enum ProtocolViolation: Error, Equatable, Sendable {
    /// RFC 6455 5.1: a client masks every frame.
    case unmasked
    /// RFC 6455 5.2: RSV1-3 are 0 unless an extension was negotiated; RFC 7692 6: RSV1 begins a compressed message.
    case reservedBits
    /// RFC 6455 5.2: opcodes 3-7 and 11-15 are reserved.
    case reservedOpcode
    /// RFC 6455 5.2: the minimal number of bytes encodes the length, and its topmost bit is 0.
    case badLength
    /// RFC 6455 5.5: control frames have at most 125 bytes and are never fragmented.
    case badControlFrame
    /// RFC 6455 5.4: a continuation continues something.
    case unexpectedContinuation
    /// RFC 6455 5.4: fragments of two messages are not mixed.
    case expectedContinuation
    /// RFC 6455 5.5.1: a Close body has no bytes, or a code and a reason.
    case badClosePayload
    /// RFC 6455 7.4: the code may not be sent.
    case badCloseCode
    /// RFC 6455 8.1: text is UTF-8.
    case invalidUTF8
    /// RFC 6455 8.1 by way of 5.5.1: so is the reason of a Close.
    case invalidReason
    /// RFC 7692 7.2.2: a compressed message can be decompressed.
    case brokenCompression
    /// RFC 6455 7.4.1, 1009: more than `max_frame` or `max_message` allows.
    case frameTooBig
    case messageTooBig

    /// The one place where a violation becomes a close code.
    public var closeCode: UInt16 {
        switch self {
        case .unmasked, .reservedBits, .reservedOpcode, .badLength, .badControlFrame, .unexpectedContinuation,
            .expectedContinuation, .badClosePayload, .badCloseCode:
            CloseCode.protocolError
        case .invalidUTF8, .invalidReason, .brokenCompression: CloseCode.invalidPayload
        case .frameTooBig, .messageTooBig: CloseCode.tooBig
        }
    }

    /// For the Close frame, the log and the handler's `error`; at most 123 bytes.
    public var reason: String {
        switch self {
        case .unmasked: "a client frame is not masked"
        case .reservedBits: "reserved bits are set"
        case .reservedOpcode: "reserved opcode"
        case .badLength: "malformed payload length"
        case .badControlFrame: "control frame is fragmented or too long"
        case .unexpectedContinuation: "nothing to continue"
        case .expectedContinuation: "a message is still unfinished"
        case .badClosePayload: "malformed close frame"
        case .badCloseCode: "close code may not be sent"
        case .invalidUTF8: "text is not UTF-8"
        case .invalidReason: "close reason is not UTF-8"
        case .brokenCompression: "compressed data is broken"
        case .frameTooBig: "frame is larger than max_frame"
        case .messageTooBig: "message is larger than max_message"
        }
    }
}
