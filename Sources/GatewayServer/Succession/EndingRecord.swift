/// What a connection's record says of its end, which has begun.
struct EndingRecord: Equatable, Sendable {
    var code: UInt16 = 0
    /// GW_BY_*.
    var by: UInt8 = 0
    var reason: [UInt8] = []
    /// errno of what broke it.
    var osError: UInt8 = 0
    /// Nobody has told of it: the process that was to has died.
    var isUntold = false
}

extension EndingRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case code = 1
        case by = 2
        case reason = 3
        case osError = 4
        case isUntold = 5
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .code: code = try field.number()
            case .by: by = try field.number()
            case .reason: reason = try field.bytes(atMost: 1024)
            case .osError: osError = try field.number()
            case .isUntold: isUntold = try field.flag()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.code, code)
        writer.write(Tag.by, by)
        writer.write(Tag.reason, reason)
        writer.write(Tag.osError, osError)
        writer.write(Tag.isUntold, isUntold)
    }
}
