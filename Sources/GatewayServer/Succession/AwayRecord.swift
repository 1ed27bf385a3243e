/// What a connection's record says of one that is with the process of its handler.
struct AwayRecord: Equatable, Sendable {
    var route = ""
    var handler = ""
    /// What that process has been given, where it has not said that it has it: the bytes of another record.
    var given: [UInt8]?
}

extension AwayRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case route = 1
        case handler = 2
        case given = 3
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .route: route = try field.text()
            case .handler: handler = try field.text()
            case .given: given = try field.bytes()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.route, route)
        writer.write(Tag.handler, handler)
        writer.write(Tag.given, ifAny: given)
    }
}
