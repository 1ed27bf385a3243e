import Bytes
import CGatewayABI

/// Something that a peer has sent and that waits for its handler, as another process is to give it to that.
struct QueuedInput: Equatable, Sendable {
    enum Kind: UInt8 {
        /// A message, or a piece of one.
        case message = 1
        case ping = 2
        case pong = 3
        /// The body of a Close, behind which nothing comes.
        case close = 4
        /// Of a message that is not whole yet, or whose rest lies behind it.
        case part = 5
    }

    var kind = Kind.message
    /// GW_TEXT or GW_BINARY, of a message.
    var type: UInt32 = 0
    /// As handlers see them.
    var flags: UInt32 = 0
    /// Nanoseconds of the monotonic clock.
    var receivedAt: UInt64 = 0
    var payload: [UInt8] = []

    /// A message ends with it.
    var endsMessage: Bool { kind == .message && flags & UInt32(GW_FIN) != 0 }
}

extension QueuedInput {
    /// How many there may be of one connection.
    static let most = 1 << 16
    /// In front of the payload, in a ledger.
    static let header = 16

    /// Two words: what it is, and when it came.
    var words: (UInt64, UInt64) {
        (UInt64(kind.rawValue) | UInt64(UInt8(truncatingIfNeeded: type)) << 8 | UInt64(flags) << 32, receivedAt)
    }

    /// - Returns: nil where the bytes, of a blob, are none.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.header else { return nil }
        let word = unsafe bytes.loadUnaligned(as: UInt64.self)
        guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: word)) else { return nil }
        self.kind = kind
        (type, flags) = (UInt32(UInt8(truncatingIfNeeded: word >> 8)), UInt32(truncatingIfNeeded: word >> 32))
        receivedAt = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        unsafe payload.append(contentsOf: bytes.dropFirst(Self.header))
    }
}

extension QueuedInput: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case kind = 1
        case type = 2
        case flags = 3
        case receivedAt = 4
        case payload = 5
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .kind: kind = try field.choice()
            case .type: type = try field.number()
            case .flags: flags = try field.number()
            case .receivedAt: receivedAt = try field.number()
            case .payload: payload = try field.bytes()
            case nil: continue
            }
        }
        switch kind {
        case .message:
            guard type == UInt32(GW_TEXT) || type == UInt32(GW_BINARY) else {
                throw reader.contradiction("it is neither text nor binary")
            }
        case .ping, .pong, .close:
            // RFC 6455 5.5
            guard payload.count <= 125 else { throw reader.contradiction("so long is no control frame") }
        case .part: throw reader.contradiction("nobody is given a part of a message")
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.kind, kind.rawValue)
        writer.write(Tag.type, type)
        writer.write(Tag.flags, flags)
        writer.write(Tag.receivedAt, receivedAt)
        writer.write(Tag.payload, payload)
    }
}

extension QueuedInput {
    /// The callback that it is for; nil where there is more to do than to call.
    var call: HandlerCall<[UInt8]>? {
        switch kind {
        case .message: .message(kind: type, flags: flags, payload, receivedAt: receivedAt)
        case .ping: .ping(payload)
        case .pong: .pong(payload)
        case .close, .part: nil
        }
    }
}
