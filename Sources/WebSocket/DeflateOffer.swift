public import HTTP

/// One offer of permessage-deflate as a client words it (RFC 7692 5.1 and 7.1).
public struct DeflateOffer: Equatable, Sendable {
    /// The name of the extension.
    static let name = "permessage-deflate"

    /// The server is asked to begin each message with an empty window.
    public var serverNoContextTakeover = false
    /// The client says that it will.
    public var clientNoContextTakeover = false
    /// The largest window the client can inflate with, as a power of two; nil when it does not say.
    public var serverMaxWindowBits: Int?
    /// The largest window the client deflates with, 15 when it gives no number; nil when it cannot be told one.
    public var clientMaxWindowBits: Int?

    public init() {}

    /// Reads one element of Sec-WebSocket-Extensions.
    ///
    /// RFC 7692 7: an offer with a parameter that is unknown, stands twice, or has a value it cannot have is declined.
    /// - Returns: nil for another extension, and for an offer that has to be declined.
    public init?(_ element: Range<Int>, in head: RequestHead) {
        var scanner = ParameterScanner(element)
        guard case .name(let name) = scanner.next(head), head.equals(Self.name, in: name) else { return nil }
        while true {
            switch scanner.next(head) {
            case .end: return
            case .malformed: return nil
            case .name(let name):
                guard take(name, value: nil, of: head) else { return nil }
            case .pair(let name, let value):
                guard take(name, value: value, of: head) else { return nil }
            }
        }
    }

    /// - Returns: whether the parameter is known, the first of its kind, and its value is one it can have.
    private mutating func take(_ name: Range<Int>, value: [UInt8]?, of head: RequestHead) -> Bool {
        if head.equals("server_no_context_takeover", in: name) {
            guard value == nil, !serverNoContextTakeover else { return false }
            serverNoContextTakeover = true
        } else if head.equals("client_no_context_takeover", in: name) {
            guard value == nil, !clientNoContextTakeover else { return false }
            clientNoContextTakeover = true
        } else if head.equals("server_max_window_bits", in: name) {
            // RFC 7692 7.1.2.1: this one always has a value.
            guard serverMaxWindowBits == nil, let bits = value.flatMap(Self.windowBits) else { return false }
            serverMaxWindowBits = bits
        } else if head.equals("client_max_window_bits", in: name) {
            guard clientMaxWindowBits == nil, let bits = value.map(Self.windowBits) ?? 15 else { return false }
            clientMaxWindowBits = bits
        } else {
            return false
        }
        return true
    }

    /// RFC 7692 7.1.2: "a decimal integer value without leading zeroes between 8 to 15 inclusive".
    private static func windowBits(_ text: [UInt8]) -> Int? {
        (8...15).first { text.elementsEqual(String($0).utf8) }
    }
}

/// Walks name and parameters of one extension: `token *( ";" token [ "=" ( token / quoted-string ) ] )` (RFC 6455 9.1).
private struct ParameterScanner {
    enum Item {
        case name(Range<Int>)
        case pair(Range<Int>, [UInt8])
        case end
        case malformed
    }

    private var position: Int
    private let end: Int

    init(_ element: Range<Int>) {
        position = element.lowerBound
        end = element.upperBound
    }

    /// The next item, and past the semicolon behind it.
    mutating func next(_ head: RequestHead) -> Item {
        guard position <= end else { return .end }
        skipSpace(head)
        let name = token(head)
        if name.isEmpty { return .malformed }
        skipSpace(head)
        guard position < end, head.bytes[position] == UInt8(ascii: "=") else { return finish(.name(name), head) }
        position += 1
        skipSpace(head)
        guard let value = value(head) else { return .malformed }
        skipSpace(head)
        return finish(.pair(name, value), head)
    }

    private mutating func finish(_ item: Item, _ head: RequestHead) -> Item {
        guard position == end || head.bytes[position] == UInt8(ascii: ";") else { return .malformed }
        position += 1
        return item
    }

    private mutating func skipSpace(_ head: RequestHead) {
        while position < end, head.bytes[position] == 0x20 || head.bytes[position] == 0x09 { position += 1 }
    }

    private mutating func token(_ head: RequestHead) -> Range<Int> {
        let start = position
        while position < end, Octet.isToken(head.bytes[position]) { position += 1 }
        return start..<position
    }

    /// RFC 6455 9.1: what a quoted string says without its quotes is a token as well.
    private mutating func value(_ head: RequestHead) -> [UInt8]? {
        guard position < end, head.bytes[position] == UInt8(ascii: "\"") else {
            let value = token(head)
            return value.isEmpty ? nil : Array(head.bytes[value])
        }
        position += 1
        var text: [UInt8] = []
        while position < end {
            var byte = head.bytes[position]
            position += 1
            if byte == UInt8(ascii: "\"") { return text.isEmpty ? nil : text }
            if byte == UInt8(ascii: "\\") {
                guard position < end else { return nil }
                byte = head.bytes[position]
                position += 1
            }
            guard Octet.isToken(byte) else { return nil }
            text.append(byte)
        }
        return nil
    }
}

extension RequestHead {
    fileprivate func equals(_ text: String, in range: Range<Int>) -> Bool { bytes[range].elementsEqual(text.utf8) }
}
