import WebSocket

/// What a connection's record says of permessage-deflate, where that was agreed on.
struct CompressionRecord: Equatable, Sendable {
    let parameters: DeflateParameters
    /// What messages of the peer may refer to.
    var received: [UInt8] = []
    /// What messages to the peer may refer to; less of it costs bytes and nothing else.
    var sent: [UInt8] = []

    init(_ parameters: DeflateParameters) { self.parameters = parameters }
}

extension CompressionRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case serverNoContextTakeover = 1
        case clientNoContextTakeover = 2
        case serverWindowBits = 3
        case clientWindowBits = 4
        case received = 5
        case sent = 6
    }

    private static let longestWindow = 1 << 15

    init(from reader: inout RecordReader) throws(RecordError) {
        var (serverTakesOver, clientTakesOver) = (true, true)
        var (serverWindowBits, clientWindowBits): (UInt8, UInt8) = (15, 15)
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .serverNoContextTakeover: serverTakesOver = try !field.flag()
            case .clientNoContextTakeover: clientTakesOver = try !field.flag()
            case .serverWindowBits: serverWindowBits = try field.number()
            case .clientWindowBits: clientWindowBits = try field.number()
            case .received: received = try field.bytes(atMost: Self.longestWindow)
            case .sent: sent = try field.bytes(atMost: Self.longestWindow)
            case nil: continue
            }
        }
        let agreed = DeflateParameters(
            serverNoContextTakeover: !serverTakesOver, clientNoContextTakeover: !clientTakesOver,
            serverWindowBits: Int(serverWindowBits), clientWindowBits: Int(clientWindowBits))
        guard let agreed else { throw reader.contradiction("nobody agrees on such a window") }
        parameters = agreed
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.serverNoContextTakeover, parameters.serverNoContextTakeover)
        writer.write(Tag.clientNoContextTakeover, parameters.clientNoContextTakeover)
        writer.write(Tag.serverWindowBits, UInt8(clamping: parameters.serverWindowBits))
        writer.write(Tag.clientWindowBits, UInt8(clamping: parameters.clientWindowBits))
        writer.write(Tag.received, received)
        writer.write(Tag.sent, sent)
    }
}
