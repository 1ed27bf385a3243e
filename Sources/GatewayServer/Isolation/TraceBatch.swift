import GatewayControl

/// What has passed in a process for `gateway trace`, since it spoke of that last.
struct TraceBatch: Sendable {
    var records: [TraceRecord] = []
    /// So many found no room behind those.
    var dropped: UInt64 = 0
    /// How many connections the trace began with; nil where that is not known, or has been said.
    var found: UInt64?
    /// The connection that it is about has ended.
    var isOver = false
}

extension TraceBatch {
    func put(_ writer: inout MessageFieldWriter) {
        for record in records { writer.put(10, record.bytes) }
        writer.put(11, dropped)
        if let found { writer.put(12, found) }
        writer.put(13, isOver)
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        for bytes in fields.all(10) { records.append(try TraceRecord(MessageFieldReader(bytes, of: "trace record"))) }
        dropped = try fields.number(11)
        if fields.bytes(12) != nil { found = try fields.number(12) as UInt64 }
        isOver = try fields.flag(13)
    }
}

extension TraceRecord {
    /// Numbers of the wire, which keep their meaning for ever.
    private enum Kind: UInt8 {
        case received = 1
        case sent, opened, closed, violation
    }

    fileprivate var bytes: [UInt8] {
        var writer = MessageFieldWriter()
        writer.put(1, nanoseconds)
        writer.put(2, connection)
        func put(_ kind: Kind) { writer.put(3, kind.rawValue) }
        switch event {
        case .received(let frame), .sent(let frame):
            if case .sent = event { put(.sent) } else { put(.received) }
            writer.put(4, frame.head)
            writer.put(5, UInt64(clamping: frame.length))
            writer.put(6, frame.isText)
            if let length = frame.inflatedLength { writer.put(7, UInt64(clamping: length)) }
            writer.put(8, frame.payload)
        case .opened(let peer, let route):
            put(.opened)
            writer.put(9, peer)
            writer.put(10, route)
        case .closed(let code, let by):
            put(.closed)
            writer.put(11, code)
            writer.put(12, by)
        case .violation(let reason):
            put(.violation)
            writer.put(13, reason)
        }
        return writer.bytes
    }

    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        guard let kind = Kind(rawValue: try fields.number(3)) else { throw fields.failure("its kind is unknown") }
        let event: Event
        switch kind {
        case .received: event = .received(try Frame(fields))
        case .sent: event = .sent(try Frame(fields))
        case .opened: event = .opened(peer: try fields.line(9), route: try fields.demand(fields.text(10), 10))
        case .closed: event = .closed(code: try fields.number(11), by: try fields.demand(fields.line(12), 12))
        case .violation: event = .violation(try fields.demand(fields.line(13), 13))
        }
        self.init(nanoseconds: try fields.number(1), connection: try fields.number(2), event: event)
    }
}

extension TraceRecord.Frame {
    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        // No frame is longer (RFC 6455 5.2).
        let most = UInt64(Int.max)
        let length: UInt64 = try fields.number(5)
        self.init(
            head: try fields.number(4), length: Int(min(length, most)), isText: try fields.flag(6),
            payload: Array(fields.bytes(8) ?? []))
        if fields.bytes(7) != nil { inflatedLength = Int(min(try fields.number(7) as UInt64, most)) }
    }
}
