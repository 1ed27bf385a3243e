/// What a connection's record says of what waits for its peer.
struct OutputRecord: Equatable, Sendable {
    /// In order; the first bytes may be the rest of a frame that has begun to leave.
    var unsent: [UInt8] = []
    /// Behind so many of them a frame begins that can be given up; nil where messages are not given up.
    var border: Int?
    /// A sender was told to wait, and is to hear that it need not any more.
    var owesDrained = false
    /// The payload of the peer's last ping, which could not be answered.
    var unansweredPing: [UInt8]?
    /// How many there were.
    var unansweredPings: UInt32 = 0
}

extension OutputRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case unsent = 1
        case border = 2
        case owesDrained = 3
        case unansweredPing = 4
        case unansweredPings = 5
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .unsent: unsent = try field.bytes()
            case .border: border = try field.count()
            case .owesDrained: owesDrained = try field.flag()
            // RFC 6455 5.5: no control frame has more.
            case .unansweredPing: unansweredPing = try field.bytes(atMost: 125)
            case .unansweredPings: unansweredPings = try field.number()
            case nil: continue
            }
        }
        guard border ?? 0 <= unsent.count else { throw reader.contradiction("a frame begins behind the output") }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.unsent, unsent)
        writer.write(Tag.border, ifAny: border.map { UInt64($0) })
        writer.write(Tag.owesDrained, owesDrained)
        writer.write(Tag.unansweredPing, ifAny: unansweredPing)
        writer.write(Tag.unansweredPings, unansweredPings)
    }
}
