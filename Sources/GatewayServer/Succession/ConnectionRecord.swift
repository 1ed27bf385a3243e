import WebSocket

/// All of a connection that another process needs to serve it on: the socket is the only other thing that goes there.
///
/// A value: what makes it of a connection is `ConnectionExporter`, what makes a connection of it `ConnectionImporter`.
/// Times are spans, since two processes count ticks from different moments.
struct ConnectionRecord: Equatable, Sendable {
    /// What this program writes, and what a reader has to know at least. A field more is no new version; a field that
    /// means something else is one that older readers do not know.
    static let version: UInt16 = 2
    static let least: UInt16 = 1
    /// What waits for a handler would be lost by programs of version 1.
    private static let leastWithQueue: UInt16 = 2

    /// Where a connection stands that moves.
    enum Phase: UInt8 {
        /// Waits for a request.
        case head
        case open
        /// Waits for the peer's Close; its handler has heard of its end.
        case closing
    }

    /// `gw_conn`: stays the same.
    var id: UInt64 = 0
    var phase = Phase.head
    var peer = PeerRecord()
    var input = InputRecord()
    var output = OutputRecord()
    var compression: CompressionRecord?
    var traffic = TrafficRecord()
    var times = TimeRecord()
    /// nil where it waits for a request.
    var route: RouteRecord?
    /// What its handler has of it; nil unless it is open.
    var handler: HandlerRecord?
    /// Why it ends, where it does.
    var ending = EndingRecord()
    /// The process of its handler has it; nil of all others. Then there is nothing else to know of it than of its peer.
    var away: AwayRecord?

    /// - Throws: when the bytes are no record of a connection.
    init(_ bytes: [UInt8]) throws(RecordError) {
        var reader = try RecordReader(bytes, knows: Self.version)
        try self.init(from: &reader)
    }

    init() {}

    var bytes: [UInt8] {
        let least = input.queued.isEmpty ? Self.least : Self.leastWithQueue
        var writer = RecordWriter(version: Self.version, least: least)
        encode(into: &writer)
        return writer.bytes
    }
}

extension ConnectionRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case id = 1
        case phase = 2
        case peer = 3
        case input = 4
        case output = 5
        case compression = 6
        case traffic = 7
        case times = 8
        case route = 9
        case handler = 10
        case ending = 11
        case away = 12
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .id: id = try field.number()
            case .phase: phase = try field.choice()
            case .peer: peer = try field.value()
            case .input: input = try field.value()
            case .output: output = try field.value()
            case .compression: compression = try field.value()
            case .traffic: traffic = try field.value()
            case .times: times = try field.value()
            case .route: route = try field.value()
            case .handler: handler = try field.value()
            case .ending: ending = try field.value()
            case .away: away = try field.value()
            case nil: continue
            }
        }
        try check(reader)
    }

    /// Each part may be right by itself; here is what they have to agree about.
    private func check(_ reader: RecordReader) throws(RecordError) {
        // Serials of connections are odd.
        guard id & 1 == 1 else { throw reader.contradiction("it has not the number of a connection") }
        guard (phase == .head) == (route == nil) else {
            throw reader.contradiction("it has a route and no request, or the other way about")
        }
        guard (phase == .open) == (handler != nil) else {
            throw reader.contradiction("it is open and has no handler, or the other way about")
        }
        guard input.frames.allowsCompression == (compression != nil) else {
            throw reader.contradiction("it is compressed and nothing was agreed on, or the other way about")
        }
        if phase == .head, input.frames != FrameReader.Snapshot() || !input.message.isEmpty {
            throw reader.contradiction("it has frames without a handshake")
        }
        guard phase == .open || input.queued.isEmpty else {
            throw reader.contradiction("something waits for a handler that it has not")
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.id, id)
        writer.write(Tag.phase, phase.rawValue)
        writer.write(Tag.peer, peer)
        writer.write(Tag.input, input)
        writer.write(Tag.output, output)
        writer.write(Tag.compression, compression)
        writer.write(Tag.traffic, traffic)
        writer.write(Tag.times, times)
        writer.write(Tag.route, route)
        writer.write(Tag.handler, handler)
        writer.write(Tag.ending, ending)
        writer.write(Tag.away, away)
    }
}
