/// Turns the bytes of one client into pieces of messages and control frames (RFC 6455 5), in place.
///
/// A value without I/O: the caller keeps the bytes contiguous, hands them over from where it stands, and acts
/// on what comes back. A frame that is not whole is passed on as far as it has come; only headers and control
/// frames are waited for.
///
///     bytes ─ next ─┬─ piece     unmasked part of a data frame, with its place in the message
///                    ├─ control   a whole ping, pong or close
///                    ├─ needMore  keep what is left (less than 140 bytes) and come back
///                    └─ violation fail the connection
public struct FrameReader: ~Copyable {
    /// What a peer may send at most, in bytes.
    public struct Limits: Sendable {
        public var frame: Int
        public var message: Int

        public init(frame: Int, message: Int) {
            self.frame = frame
            self.message = message
        }

        /// What cannot be compressed grows a little by it. The limit is on what comes out; that nobody sends much more
        /// than that is seen to here.
        fileprivate var compressed: Limits {
            @inline(never) get {
                func grown(_ bytes: Int) -> Int { bytes > .max / 2 ? bytes : bytes + bytes / 16 + 64 }
                return Limits(frame: grown(frame), message: grown(message))
            }
        }
    }

    /// A run of payload bytes of one message.
    public struct Piece: Equatable {
        /// Where the bytes stand in the buffer that was handed over.
        public var start: Int
        public var count: Int
        /// `text` or `binary`, also for continuations.
        public var kind: Opcode
        public var isFirst: Bool
        public var isLast: Bool
        /// Its message is compressed (RFC 7692 6).
        public var isCompressed: Bool

        @inline(__always)
        public init(
            start: Int, count: Int, kind: Opcode, isFirst: Bool, isLast: Bool, isCompressed: Bool = false
        ) {
            (self.start, self.count, self.kind) = (start, count, kind)
            (self.isFirst, self.isLast, self.isCompressed) = (isFirst, isLast, isCompressed)
        }
    }

    public enum Event: Equatable {
        case needMore
        case piece(Piece)
        case control(Opcode, start: Int, count: Int)
        case violation(ProtocolViolation)
    }

    /// What RSV1 means, and of the message under way or the last one, whether it was set. One byte, to keep the reader small.
    private enum Compression: UInt8 {
        case notNegotiated
        case off
        case on
    }

    /// Payload bytes of the current data frame that have not come yet.
    public private(set) var remaining = 0
    /// Bytes of the current message in the frames announced so far.
    private var messageLength = 0
    private var key = MaskingKey(word: 0)
    /// The kind of the message under way; continuation when there is none.
    private var kind = Opcode.continuation
    private var isFinal = true
    /// The next piece is the first of its message.
    private var isFirst = true
    private var compression = Compression.notNegotiated

    public init() {}

    /// From here on messages may be compressed: permessage-deflate has been agreed on.
    public mutating func allowCompression() { compression = .off }

    /// The message under way, or the last one, is compressed.
    @inline(__always)
    public var isCompressed: Bool { compression == .on }

    /// Neither a frame nor a message has begun and not ended.
    @inline(__always)
    public var isBetweenMessages: Bool { remaining == 0 && kind == .continuation }

    /// Bytes of the last message, if it was read here; 0 while another one is under way.
    @inline(__always)
    public var lastLength: Int { isBetweenMessages ? messageLength : 0 }

    /// The last message was read elsewhere.
    @inline(__always)
    public mutating func forgetLastLength() { messageLength = 0 }

    /// A message has begun and not ended.
    public var isInsideMessage: Bool { kind != .continuation }

    /// Makes one step.
    ///
    /// - Parameters:
    ///   - buffer: everything that is there; payload in it is unmasked in place as it is passed on.
    ///   - position: where to go on; moved behind what was used.
    @inline(__always)
    public mutating func next(
        in buffer: UnsafeMutableRawBufferPointer, from position: inout Int, limits: Limits
    ) -> Event {
        if remaining > 0 {
            // A piece of nothing here would be answered for ever to a caller that goes on until more is needed.
            guard position < buffer.count else { return .needMore }
            return unsafe passOn(buffer, &position)
        }
        let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[position...])
        let header: FrameHeader
        switch unsafe FrameHeader.parse(rest) {
        case .needMore: return .needMore
        case .violation(let violation): return .violation(violation)
        case .header(let parsed): header = parsed
        }
        if header.reserved != 0, !mayBeReserved(header) { return .violation(.reservedBits) }
        if header.opcode.rawValue & 0x8 != 0 {
            return unsafe control(header, buffer, &position, left: rest.count)
        }
        if let violation = begin(header, limits) { return .violation(violation) }
        position &+= header.length
        return unsafe passOn(buffer, &position)
    }

    /// RFC 7692 6.1: RSV1 is set on the first frame of a compressed message, and on no other.
    private func mayBeReserved(_ header: FrameHeader) -> Bool {
        header.reserved == 0b100 && compression != .notNegotiated
            && (header.opcode == .text || header.opcode == .binary)
    }

    /// Control frames may stand between the fragments of a message (RFC 6455 5.4) and change nothing about it.
    private func control(
        _ header: FrameHeader, _ buffer: UnsafeMutableRawBufferPointer, _ position: inout Int, left: Int
    ) -> Event {
        guard left &- header.length >= header.payloadLength else { return .needMore }
        let start = position &+ header.length
        var key = header.maskingKey
        unsafe key.unmask(UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start &+ header.payloadLength]))
        position = start &+ header.payloadLength
        return .control(header.opcode, start: start, count: header.payloadLength)
    }

    @inline(__always)
    private mutating func begin(_ header: FrameHeader, _ limits: Limits) -> ProtocolViolation? {
        if header.opcode == .continuation {
            if kind == .continuation { return .unexpectedContinuation }
        } else {
            if kind != .continuation { return .expectedContinuation }
            kind = header.opcode
            isFirst = true
            messageLength = 0
            if compression != .notNegotiated { compression = header.reserved == 0 ? .off : .on }
        }
        let limits = isCompressed ? limits.compressed : limits
        // RFC 6455 10.4: limits hold as soon as a header shows the excess, before any byte of it is kept.
        if header.payloadLength > limits.frame {
            return limits.frame < limits.message ? .frameTooBig : .messageTooBig
        }
        let total = messageLength.addingReportingOverflow(header.payloadLength)
        if total.overflow || total.partialValue > limits.message { return .messageTooBig }
        messageLength = total.partialValue
        remaining = header.payloadLength
        key = header.maskingKey
        isFinal = header.isFinal
        return nil
    }

    /// Unmasks what is there of the current frame.
    @inline(__always)
    private mutating func passOn(_ buffer: UnsafeMutableRawBufferPointer, _ position: inout Int) -> Event {
        let start = position
        let count = min(remaining, buffer.count &- start)
        unsafe key.unmask(UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start &+ count]))
        position = start &+ count
        return piece(start: start, count: count)
    }

    /// Accounts for bytes of the current frame that were received straight into their place.
    ///
    /// - Parameter bytes: at most `remaining`, not unmasked yet; unmasked here.
    public mutating func take(_ bytes: UnsafeMutableRawBufferPointer) -> Piece {
        unsafe key.unmask(bytes)
        guard case .piece(let piece) = piece(start: 0, count: bytes.count) else {
            preconditionFailure("taking bytes makes a piece")
        }
        return piece
    }

    @inline(__always)
    private mutating func piece(start: Int, count: Int) -> Event {
        remaining &-= count
        let isLast = isFinal && remaining == 0
        let piece = Piece(
            start: start, count: count, kind: kind, isFirst: isFirst, isLast: isLast, isCompressed: isCompressed)
        isFirst = false
        if isLast { kind = .continuation }
        return .piece(piece)
    }
}

// MARK: Going on elsewhere

extension FrameReader {
    /// Where a reader stands between two runs of bytes, so that another one can go on from there.
    public struct Snapshot: Equatable, Sendable {
        /// Payload bytes of the frame under way that have not come.
        public var remaining = 0
        /// Bytes of the message under way, or of the last one, in the frames announced so far.
        public var messageLength = 0
        /// Turned to the next byte of the frame.
        public var key: UInt32 = 0
        /// Of the message under way; continuation where there is none.
        public var kind = Opcode.continuation
        /// The frame under way ends its message.
        public var isFinal = true
        public var allowsCompression = false
        /// The message under way is compressed.
        public var isCompressed = false

        public init() {}
    }

    public var snapshot: Snapshot {
        var snapshot = Snapshot()
        (snapshot.remaining, snapshot.messageLength, snapshot.key) = (remaining, messageLength, key.word)
        (snapshot.kind, snapshot.isFinal) = (kind, isFinal)
        snapshot.allowsCompression = compression != .notNegotiated
        snapshot.isCompressed = isInsideMessage && isCompressed
        return snapshot
    }

    /// Goes on where another reader stood.
    ///
    /// - Returns: nil where none can stand.
    public init?(resuming snapshot: Snapshot) {
        guard snapshot.remaining >= 0, snapshot.messageLength >= snapshot.remaining else { return nil }
        switch snapshot.kind {
        case .text, .binary:
            // The end of a message is its last byte.
            guard snapshot.remaining > 0 || !snapshot.isFinal else { return nil }
        case .continuation: guard snapshot.remaining == 0, !snapshot.isCompressed else { return nil }
        case .close, .ping, .pong: return nil
        }
        guard snapshot.allowsCompression || !snapshot.isCompressed else { return nil }
        (remaining, messageLength) = (snapshot.remaining, snapshot.messageLength)
        (key, kind) = (MaskingKey(word: snapshot.key), snapshot.kind)
        isFinal = snapshot.isFinal
        // A header is not passed without a piece, be it empty.
        isFirst = snapshot.kind == .continuation
        if snapshot.allowsCompression { compression = snapshot.isCompressed ? .on : .off }
    }
}
