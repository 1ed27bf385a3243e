import GatewayControl

/// Some of the rows that a process has for `gateway connections`.
struct ConnectionBatch: Sendable {
    var rows: [ConnectionReport.Row] = []
    /// How many connections of it the query is about, shown or not.
    var matched: UInt64 = 0
    /// Nothing comes behind it.
    var isLast = false
    /// Some worker there has not answered in time.
    var isSilent = false
}

extension ConnectionBatch {
    func put(_ writer: inout MessageFieldWriter) {
        writer.put(10, matched)
        writer.put(11, isLast)
        writer.put(12, isSilent)
        for row in rows { writer.put(13, row.bytes) }
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        (matched, isLast, isSilent) = (try fields.number(10), try fields.flag(11), try fields.flag(12))
        for bytes in fields.all(13) {
            rows.append(try ConnectionReport.Row(MessageFieldReader(bytes, of: "connection of a listing")))
        }
    }
}

extension ConnectionReport.Row {
    fileprivate var bytes: [UInt8] {
        var writer = MessageFieldWriter()
        writer.put(1, id)
        writer.put(2, state.rawValue)
        writer.put(3, peer)
        writer.put(4, route)
        writer.put(5, handler)
        if let generation { writer.put(6, generation) }
        for count in [ageMilliseconds, idleMilliseconds, messagesIn, messagesOut, bytesIn, bytesOut, queued] {
            writer.put(7, count)
        }
        writer.put(8, tls)
        writer.put(9, subprotocol)
        return writer.bytes
    }

    fileprivate init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        guard let state = ConnectionReport.State(rawValue: try fields.demand(fields.text(2), 2)) else {
            throw fields.failure("its state is unknown")
        }
        let counts = try fields.numbers(7)
        guard counts.count == 7 else { throw fields.failure("\(counts.count) counts, which should be 7") }
        self.init(
            id: try fields.number(1), state: state, ageMilliseconds: counts[0], idleMilliseconds: counts[1])
        (messagesIn, messagesOut, bytesIn, bytesOut) = (counts[2], counts[3], counts[4], counts[5])
        queued = counts[6]
        (peer, route, handler) = (try fields.line(3), try fields.line(4), try fields.line(5))
        if fields.bytes(6) != nil { generation = try fields.number(6) as UInt64 }
        (tls, subprotocol) = (try fields.line(8), try fields.line(9))
    }
}

extension MessageFieldReader {
    /// A text that somebody reads on a terminal.
    func line(_ tag: UInt16) throws(SuccessionFailure) -> String? {
        guard let text = try text(tag) else { return nil }
        let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
        guard isPlain else { throw failure("field \(tag) has characters that nobody should see") }
        return text
    }
}
