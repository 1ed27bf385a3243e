internal import FoundationEssentials
public import GatewayHandler

extension Message {
    /// The message as a value; throws what closes the connection when it is none.
    ///
    ///     let order = try message.decode(Order.self)
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(ClosingError) -> Value {
        try JSONText.decode(type, copyBytes(), isText: kind == .text)
    }
}

extension Frame {
    /// The frame as a value; throws what closes the connection when it is none.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(ClosingError) -> Value {
        try JSONText.decode(type, bytes, isText: kind == .text)
    }
}

extension Connection {
    /// Sends a value as a text message; throws when it cannot be written as JSON, such as a number that is infinite.
    @discardableResult
    public func send(json value: some Encodable) throws -> SendResult { send(try JSONText.encode(value)) }
}

extension Session {
    /// Sends a value as a text message; throws when it cannot be written as JSON, such as a number that is infinite.
    @discardableResult
    public func send(json value: some Encodable) throws -> SendResult { try connection.send(json: value) }
}

extension Gateway {
    /// Sends a value to all connections that are subscribed to `topic`, but one; it is written once.
    @discardableResult
    public func publish(json value: some Encodable, to topic: Topic, except: Connection? = nil) throws -> Publication {
        publish(try JSONText.encode(value), to: topic, except: except)
    }
}

extension Response {
    /// A value as the answer to a plain request.
    public static func json(_ value: some Encodable, status: Int = 200) throws -> Response {
        .json(try JSONText.encode(value), status: status)
    }
}

/// JSON as it goes over the wire.
enum JSONText {
    static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func decode<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], isText: Bool
    ) throws(ClosingError) -> Value {
        // RFC 6455 7.4.1: 1003 for "a type of data it cannot accept", as when it "understands only text data".
        guard isText else { throw ClosingError(.unsupportedData, reason: "JSON comes as text") }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            // RFC 6455 7.4.1: 1007 for "data within a message that was not consistent with the type of the message".
            throw ClosingError(.invalidPayloadData, reason: reason(error))
        }
    }

    /// What is wrong and where, in words that repeat nothing of what was sent but the names in it.
    private static func reason(_ error: any Error) -> String {
        switch error as? DecodingError {
        case .typeMismatch(let type, let context): "\(place(context.codingPath)) is no \(type)"
        case .valueNotFound(let type, let context): "\(place(context.codingPath)) is null and no \(type)"
        case .keyNotFound(let key, let context): "\(place(context.codingPath)) lacks \(key.stringValue)"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty: "\(place(context.codingPath)) is not valid"
        default: "not valid JSON"
        }
    }

    private static func place(_ path: [any CodingKey]) -> String {
        let steps = path.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
        return steps.isEmpty ? "the message" : "the message at \(steps)"
    }
}
