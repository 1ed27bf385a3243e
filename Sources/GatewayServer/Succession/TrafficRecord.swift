/// What a connection's record says of what went over it.
struct TrafficRecord: Equatable, Sendable {
    var messagesIn: UInt64 = 0
    var messagesOut: UInt64 = 0
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    /// Of the output that waits, what belongs to the handshake and is never counted.
    var uncounted: UInt32 = 0
    /// Messages and bytes are counted; what follows from the low half of a count (`Connection.mark`) goes on with it.
    var mark: UInt32 = 0
}

extension TrafficRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case messagesIn = 1
        case messagesOut = 2
        case bytesIn = 3
        case bytesOut = 4
        case uncounted = 5
        case mark = 6
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .messagesIn: messagesIn = try field.number()
            case .messagesOut: messagesOut = try field.number()
            case .bytesIn: bytesIn = try field.number()
            case .bytesOut: bytesOut = try field.number()
            case .uncounted: uncounted = try field.number()
            case .mark: mark = try field.number()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.messagesIn, messagesIn)
        writer.write(Tag.messagesOut, messagesOut)
        writer.write(Tag.bytesIn, bytesIn)
        writer.write(Tag.bytesOut, bytesOut)
        writer.write(Tag.uncounted, uncounted)
        writer.write(Tag.mark, mark)
    }
}
