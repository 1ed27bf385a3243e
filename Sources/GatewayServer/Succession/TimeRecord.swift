/// What a connection's record says of times: in milliseconds, back or ahead of the moment in which it is made.
struct TimeRecord: Equatable, Sendable {
    /// When the phase must be over; nil for never.
    var deadlineIn: UInt64?
    /// When the next ping is due, or the pong to the last one; nil for never.
    var pingIn: UInt64?
    /// A ping has not been answered.
    var isPinged = false
    /// What its pong carries: microseconds of the monotonic clock, which is the same for all processes.
    var pingStamp: UInt32 = 0
    var lastMessageAgo: UInt64 = 0
    var openedAgo: UInt64 = 0
    var lastInAgo: UInt64 = 0
    var lastOutAgo: UInt64 = 0
    var roundTripMicroseconds: UInt32 = 0
}

extension TimeRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case deadlineIn = 1
        case pingIn = 2
        case isPinged = 3
        case pingStamp = 4
        case lastMessageAgo = 5
        case openedAgo = 6
        case lastInAgo = 7
        case lastOutAgo = 8
        case roundTripMicroseconds = 9
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .deadlineIn: deadlineIn = try field.number()
            case .pingIn: pingIn = try field.number()
            case .isPinged: isPinged = try field.flag()
            case .pingStamp: pingStamp = try field.number()
            case .lastMessageAgo: lastMessageAgo = try field.number()
            case .openedAgo: openedAgo = try field.number()
            case .lastInAgo: lastInAgo = try field.number()
            case .lastOutAgo: lastOutAgo = try field.number()
            case .roundTripMicroseconds: roundTripMicroseconds = try field.number()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.deadlineIn, ifAny: deadlineIn)
        writer.write(Tag.pingIn, ifAny: pingIn)
        writer.write(Tag.isPinged, isPinged)
        writer.write(Tag.pingStamp, pingStamp)
        writer.write(Tag.lastMessageAgo, lastMessageAgo)
        writer.write(Tag.openedAgo, openedAgo)
        writer.write(Tag.lastInAgo, lastInAgo)
        writer.write(Tag.lastOutAgo, lastOutAgo)
        writer.write(Tag.roundTripMicroseconds, roundTripMicroseconds)
    }
}
