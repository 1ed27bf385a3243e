import GatewayIO
import HTTP
import WebSocket

/// The handshake of a connection in its record, for a handler that has it kept (GW_HF_KEEP_REQUEST).
struct KeptRequest: Equatable, Sendable {
    /// What a parameter of the route has stood for.
    struct Parameter: Equatable, Sendable {
        var name = ""
        var value: [UInt8] = []
    }

    /// The head as it came, but for names of headers, which are in lower case.
    var head: [UInt8] = []
    var parameters: [Parameter] = []
    var uuid: (UInt64, UInt64) = (0, 0)
    /// Of the monotonic clock, which is the same for all processes.
    var receivedAt: UInt64 = 0

    static func == (one: KeptRequest, other: KeptRequest) -> Bool {
        one.head == other.head && one.parameters == other.parameters && one.uuid == other.uuid
            && one.receivedAt == other.receivedAt
    }

    init() {}

    init(_ exchange: Exchange) {
        head = exchange.head.bytes
        parameters = exchange.parameters.map { Parameter(name: $0.name, value: $0.value) }
        uuid = exchange.uuid
        receivedAt = exchange.receivedAt
    }

    /// The request once more.
    ///
    /// - Parameter http2: what it was for if it came over HTTP/2.
    /// - Returns: nil where the head is no opening handshake.
    func exchange(
        _ binding: UnsafeMutablePointer<Binding>, http2: RequestHead.HTTP2Request? = nil
    ) -> Exchange? {
        // It was within the limits that held when it came.
        let limits = HeadLimits(maxHead: head.count + 1, maxHeaders: head.count, maxRequestLine: head.count)
        var reader = RequestHeadReader(limits: limits)
        guard case .head(var head, let length)? = try? reader.read(head.span), length == self.head.count else {
            return nil
        }
        head.http2 = http2
        guard case .offered(let handshake) = OpeningHandshake.evaluate(head) else { return nil }
        return unsafe Exchange(
            head: head, binding: binding, parameters: parameters.map { ($0.name, $0.value) }, handshake: handshake,
            ticket: 0, uuid: uuid, receivedAt: receivedAt)
    }
}

extension KeptRequest: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case head = 1
        case parameters = 2
        case uuidHigh = 3
        case uuidLow = 4
        case receivedAt = 5
    }

    /// A head has no more, and a route has far fewer parameters.
    private static let longestHead = 1 << 30
    private static let mostParameters = 1024

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .head: head = try field.bytes(atMost: Self.longestHead - 1)
            case .parameters: try field.append(to: &parameters, atMost: Self.mostParameters)
            case .uuidHigh: uuid.0 = try field.number()
            case .uuidLow: uuid.1 = try field.number()
            case .receivedAt: receivedAt = try field.number()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.head, head)
        writer.write(Tag.parameters, each: parameters)
        writer.write(Tag.uuidHigh, uuid.0)
        writer.write(Tag.uuidLow, uuid.1)
        writer.write(Tag.receivedAt, receivedAt)
    }
}

extension KeptRequest.Parameter: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case name = 1
        case value = 2
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .name: name = try field.text()
            case .value: value = try field.bytes()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.name, name)
        writer.write(Tag.value, value)
    }
}
