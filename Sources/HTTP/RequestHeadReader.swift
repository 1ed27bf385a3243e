/// Reads one request head after the other from bytes, however packets cut them.
///
/// Every byte is judged once, in order, and the first that breaks a rule decides: the outcome never depends on where
/// packets were cut, and a bad head is refused before its end has arrived.
///
///     empty lines -> method -SP-> request line -CRLF-> field start -> name -:-> value -CRLF-> field start ... CRLF
public struct RequestHeadReader: Sendable {
    /// What the bytes so far amount to.
    public enum Progress: Sendable {
        /// The head is not whole yet and nothing in it is wrong so far.
        case needMore
        /// A head, and how many bytes it took, its last empty line included. The reader is ready for the next one.
        case head(RequestHead, length: Int)
    }

    private enum Phase {
        case emptyLines
        case method
        case requestLine
        case fieldStart
        case fieldName
        case fieldValue
    }

    private enum Step {
        case again
        case needMore
        case end
    }

    /// Longest name of a method that is read; the longest registered one has 17 bytes.
    private static let maxMethod = 32
    /// RFC 9112 2.2: "at least one empty line"; more than a few are not a slip of an old client.
    private static let maxEmptyLines = 4

    private let limits: HeadLimits
    private var phase = Phase.emptyLines
    /// The first byte that is not judged yet.
    private var position = 0
    /// The first byte of the line under way.
    private var lineStart = 0
    /// Where the method or the header name of the line under way ended.
    private var nameEnd = 0
    private var emptyLines = 0
    private var requestLine: RequestLine?
    private var fields: [RequestHead.Field] = []

    /// Makes a reader that stands before the first byte of a head.
    public init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits
    }

    /// Whether nothing but empty lines has been seen yet: silence is then an idle peer, not a slow head.
    public var isAtStart: Bool { phase == .emptyLines }

    /// Goes on reading where the last call ended; `bytes` begins at the first byte of the head at every call.
    public mutating func read(_ bytes: RawSpan) throws(RequestHeadError) -> Progress {
        // Every byte is a valid UInt8.
        try read(unsafe bytes._unsafeView(as: UInt8.self))
    }

    /// Goes on reading where the last call ended; `bytes` begins at the first byte of the head at every call.
    public mutating func read(_ bytes: Span<UInt8>) throws(RequestHeadError) -> Progress {
        let head = bytes.extracting(first: limits.maxHead)
        while position < head.count {
            let step =
                switch phase {
                case .emptyLines: try skipEmptyLine(head)
                case .method: try readMethod(head)
                case .requestLine: try readRequestLine(head)
                case .fieldStart: try startField(head)
                case .fieldName: try readFieldName(head)
                case .fieldValue: try readFieldValue(head)
                }
            switch step {
            case .again: continue
            case .needMore: break
            case .end: return try finish(head)
            }
            break
        }
        guard bytes.count < limits.maxHead else {
            throw requestLine == nil ? .requestLineTooLong : .headTooLarge
        }
        return .needMore
    }

    private mutating func finish(_ bytes: Span<UInt8>) throws(RequestHeadError) -> Progress {
        guard let requestLine else { throw .badRequestLine }
        // The position stays before the last line end until the head is accepted: a refused head stays refused.
        let length = position + 2
        let head = try RequestHead(bytes, length: length, requestLine, fields)
        self = RequestHeadReader(limits: limits)
        return .head(head, length: length)
    }

    private mutating func skipEmptyLine(_ bytes: Span<UInt8>) throws(RequestHeadError) -> Step {
        guard bytes[position] == Octet.carriageReturn else {
            lineStart = position
            phase = .method
            return .again
        }
        guard try isLineEnd(bytes, at: position) else { return .needMore }
        guard emptyLines < Self.maxEmptyLines else { throw .badRequestLine }
        emptyLines += 1
        position += 2
        return .again
    }

    private mutating func readMethod(_ bytes: Span<UInt8>) throws(RequestHeadError) -> Step {
        while position < bytes.count {
            let byte = bytes[position]
            if byte == Octet.space, position > lineStart {
                nameEnd = position
                position += 1
                phase = .requestLine
                return .again
            }
            guard Octet.isToken(byte) else { throw byte == Octet.lineFeed ? .bareLineFeed : .badRequestLine }
            guard position - lineStart < Self.maxMethod else { throw .methodTooLong }
            position += 1
        }
        return .needMore
    }

    private mutating func readRequestLine(_ bytes: Span<UInt8>) throws(RequestHeadError) -> Step {
        position = bytes.indexOfControl(from: position)
        guard position - lineStart <= limits.maxRequestLine else { throw .requestLineTooLong }
        guard position < bytes.count else { return .needMore }
        switch bytes[position] {
        case Octet.carriageReturn:
            guard try isLineEnd(bytes, at: position) else { return .needMore }
            requestLine = try RequestLine(bytes, method: lineStart..<nameEnd, end: position)
            position += 2
            phase = .fieldStart
            return .again
        case Octet.lineFeed: throw .bareLineFeed
        default: throw .badRequestLine
        }
    }

    private mutating func startField(_ bytes: Span<UInt8>) throws(RequestHeadError) -> Step {
        switch bytes[position] {
        case Octet.carriageReturn:
            return try isLineEnd(bytes, at: position) ? .end : .needMore
        // RFC 9112 5.2: a server that receives obs-fold "MUST either reject the message" or unfold it.
        case Octet.space, Octet.tab: throw .obsoleteFolding
        default:
            guard fields.count < limits.maxHeaders else { throw .tooManyHeaders }
            if fields.isEmpty { fields.reserveCapacity(min(limits.maxHeaders, 16)) }
            lineStart = position
            phase = .fieldName
            return .again
        }
    }

    private mutating func readFieldName(_ bytes: Span<UInt8>) throws(RequestHeadError) -> Step {
        var offset = position
        while offset < bytes.count {
            let byte = bytes[offset]
            if Octet.isToken(byte) {
                offset &+= 1
                continue
            }
            switch byte {
            case Octet.colon where offset > lineStart:
                nameEnd = offset
                position = offset + 1
                phase = .fieldValue
                return .again
            // RFC 9112 5.1: "A server MUST reject ... any received request message that contains whitespace
            // between a header field name and colon".
            case Octet.space, Octet.tab: throw .spaceBeforeColon
            case Octet.lineFeed: throw .bareLineFeed
            default: throw .badHeaderName
            }
        }
        position = offset
        return .needMore
    }

    private mutating func readFieldValue(_ bytes: Span<UInt8>) throws(RequestHeadError) -> Step {
        while true {
            position = bytes.indexOfControl(from: position)
            guard position < bytes.count else { return .needMore }
            switch bytes[position] {
            case Octet.tab: position += 1
            case Octet.carriageReturn:
                guard try isLineEnd(bytes, at: position) else { return .needMore }
                let value = bytes.trimmingWhitespace(nameEnd + 1..<position)
                fields.append(RequestHead.Field(name: lineStart..<nameEnd, value: value))
                position += 2
                phase = .fieldStart
                return .again
            case Octet.lineFeed: throw .bareLineFeed
            default: throw .badHeaderValue
            }
        }
    }

    /// Whether the line feed that belongs to the carriage return at `offset` is there; false if it has not arrived.
    private func isLineEnd(_ bytes: Span<UInt8>, at offset: Int) throws(RequestHeadError) -> Bool {
        guard offset + 1 < bytes.count else { return false }
        // RFC 9112 2.2: "A recipient of such a bare CR MUST consider that element to be invalid".
        guard bytes[offset + 1] == Octet.lineFeed else { throw .bareCarriageReturn }
        return true
    }
}
