import WebSocket

/// What a connection's record says of what its peer has sent.
struct InputRecord: Equatable, Sendable {
    /// Where the reader of frames stands.
    var frames = FrameReader.Snapshot()
    /// What its handler has not been given of what has come, in front of all that follows.
    var queued: [QueuedInput] = []
    /// The message that has come by half.
    var message: [UInt8] = []
    /// What has come and was not used yet.
    var leftover: [UInt8] = []
    /// The handler does not want more.
    var isReadingOff = false
}

extension InputRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case remaining = 1
        case messageLength = 2
        case maskingKey = 3
        case opcode = 4
        case isFragment = 5
        case allowsCompression = 6
        case isCompressed = 7
        case message = 8
        case leftover = 9
        case isReadingOff = 10
        case queued = 11
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .remaining: frames.remaining = try field.count()
            case .messageLength: frames.messageLength = try field.count()
            case .maskingKey: frames.key = try field.number()
            case .opcode: frames.kind = try field.choice()
            case .isFragment: frames.isFinal = try !field.flag()
            case .allowsCompression: frames.allowsCompression = try field.flag()
            case .isCompressed: frames.isCompressed = try field.flag()
            case .message: message = try field.bytes()
            case .leftover: leftover = try field.bytes()
            case .isReadingOff: isReadingOff = try field.flag()
            case .queued: try field.append(to: &queued, atMost: QueuedInput.most)
            case nil: continue
            }
        }
        let frameReader = FrameReader(resuming: frames)
        guard frameReader != nil else { throw reader.contradiction("no reader of frames stands so") }
        guard frames.kind != .continuation || message.isEmpty else {
            throw reader.contradiction("a message has come by half between two messages")
        }
        // More than one that is passed on piece by piece would need to be known of it.
        guard !frames.isCompressed else { throw reader.contradiction("a compressed message has come by half") }
    }

    /// Messages among what its handler has not been given.
    var queuedMessages: UInt64 { queued.reduce(0) { $0 + ($1.endsMessage ? 1 : 0) } }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.remaining, UInt64(frames.remaining))
        writer.write(Tag.messageLength, UInt64(frames.messageLength))
        writer.write(Tag.maskingKey, frames.key)
        writer.write(Tag.opcode, frames.kind.rawValue)
        writer.write(Tag.isFragment, !frames.isFinal)
        writer.write(Tag.allowsCompression, frames.allowsCompression)
        writer.write(Tag.isCompressed, frames.isCompressed)
        writer.write(Tag.message, message)
        writer.write(Tag.leftover, leftover)
        writer.write(Tag.isReadingOff, isReadingOff)
        writer.write(Tag.queued, each: queued)
    }
}
