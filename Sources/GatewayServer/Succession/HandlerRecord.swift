/// What a connection's record says of what its handler has of it.
struct HandlerRecord: Equatable, Sendable {
    /// What `save_conn` wrote; nil for a handler that keeps nothing.
    var state: StateRecord?
    /// The handshake, where the handler has it kept.
    var request: KeptRequest?
    var topics: [TopicRecord] = []
    var timers: [TimerRecord] = []
}

extension HandlerRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case state = 1
        case request = 2
        case topics = 3
        case timers = 4
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .state: state = try field.value()
            case .request: request = try field.value()
            case .topics: try field.append(to: &topics, atMost: Topic.maximumPerConnection)
            case .timers: try field.append(to: &timers, atMost: TimerRegistry.maximumPerOwner)
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.state, state)
        writer.write(Tag.request, request)
        writer.write(Tag.topics, each: topics)
        writer.write(Tag.timers, each: timers)
    }
}

/// What a handler has saved, of a connection or of itself.
struct StateRecord: Equatable, Sendable {
    var version: UInt32 = 0
    var format: UInt64 = 0
    /// The number of the generation that has saved it.
    var generation: UInt64 = 0
    var data: [UInt8] = []
    /// It was saved for the case that the process of the handler ends, which it has.
    var isCheckpoint = false
}

extension StateRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case version = 1
        case format = 2
        case generation = 3
        case data = 4
        case isCheckpoint = 5
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .version: version = try field.number()
            case .format: format = try field.number()
            case .generation: generation = try field.number()
            case .data: data = try field.bytes(atMost: StateSink.maximum)
            case .isCheckpoint: isCheckpoint = try field.flag()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.version, version)
        writer.write(Tag.format, format)
        writer.write(Tag.generation, generation)
        writer.write(Tag.data, data)
        writer.write(Tag.isCheckpoint, isCheckpoint)
    }
}

/// A topic that a connection is subscribed to.
struct TopicRecord: Equatable, Sendable {
    private(set) var key = TopicKey(scope: "", name: [])

    init(_ key: TopicKey) { self.key = key }
}

extension TopicRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case scope = 1
        case name = 2
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        var (scope, name): (String, [UInt8]) = ("", [])
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .scope: scope = try field.text()
            case .name: name = try field.bytes(atMost: TopicKey.maximumName)
            case nil: continue
            }
        }
        if name.isEmpty { throw reader.contradiction("a topic has a name") }
        key = TopicKey(scope: scope, name: name)
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.scope, key.scope)
        writer.write(Tag.name, key.name)
    }
}

/// A timer of a connection.
struct TimerRecord: Equatable, Sendable {
    /// `gw_timer`: stays the same.
    var number: UInt64 = 0
    var token: UInt64 = 0
    /// Nanoseconds; 0 for once.
    var interval: UInt64 = 0
    /// Nanoseconds; 0 for at once.
    var dueIn: UInt64 = 0
}

extension TimerRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case number = 1
        case token = 2
        case interval = 3
        case dueIn = 4
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .number: number = try field.number()
            case .token: token = try field.number()
            case .interval: interval = try field.number()
            case .dueIn: dueIn = try field.number()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.number, number)
        writer.write(Tag.token, token)
        writer.write(Tag.interval, interval)
        writer.write(Tag.dueIn, dueIn)
    }
}
