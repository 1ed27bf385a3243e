/// A request head that keeps every rule of RFC 9112 the gateway relies on: one array of bytes and ranges into it.
public struct RequestHead: Sendable {
    /// One header line.
    public struct Field: Sendable {
        // Four words of 32 bits: a head of a browser has a dozen of these.
        private let nameStart: UInt32
        private let nameEnd: UInt32
        private let valueStart: UInt32
        private let valueEnd: UInt32

        init(name: Range<Int>, value: Range<Int>) {
            // A head never exceeds 1 GiB (HeadLimits), so nothing is cut off.
            nameStart = UInt32(truncatingIfNeeded: name.lowerBound)
            nameEnd = UInt32(truncatingIfNeeded: name.upperBound)
            valueStart = UInt32(truncatingIfNeeded: value.lowerBound)
            valueEnd = UInt32(truncatingIfNeeded: value.upperBound)
        }

        /// The name, in lower case.
        public var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
        /// The value, without whitespace around it.
        public var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
    }

    /// The bytes of the head, as sent but for header names, which are in lower case.
    public let bytes: [UInt8]
    public let method: Method
    public let methodRange: Range<Int>
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    public let minorVersion: Int
    public let target: RequestTarget
    /// The header lines in the order of the wire.
    public let fields: [Field]
    /// The host that is asked: of the target if it says so, else of the Host header; nil for an HTTP/1.0 request
    /// without either.
    public let authority: Authority?
    /// The length of the body as announced; nil if it is not.
    public let contentLength: Int?
    /// Whether the body comes in chunks.
    public let isChunked: Bool
    /// Whether the client expects the connection to stay open after the answer.
    public let keepsAlive: Bool

    /// What a request over HTTP/2 is for.
    public enum HTTP2Request: Sendable {
        /// What its method says.
        case plain
        /// An extended CONNECT for WebSocket (RFC 8441), which is shown as a GET.
        case webSocket
        /// An extended CONNECT for something else.
        case unknownProtocol
    }

    /// nil for a request over HTTP/1.
    public var http2: HTTP2Request?

    /// Copies the first `length` bytes and judges what the header lines mean together.
    init(
        _ span: Span<UInt8>, length: Int, _ requestLine: RequestLine, _ fields: [Field]
    ) throws(RequestHeadError) {
        var bytes = span.copy(0..<length)
        Self.lowercaseNames(in: &bytes, fields)
        let framing = try Framing(bytes.span, fields, minorVersion: requestLine.minorVersion)
        method = requestLine.method
        methodRange = requestLine.methodRange
        minorVersion = requestLine.minorVersion
        target = requestLine.target
        // RFC 9112 3.2.2: a server that gets an absolute-form target "MUST ignore the received Host header field".
        authority = requestLine.target.authority ?? framing.host
        contentLength = framing.contentLength
        isChunked = framing.isChunked
        keepsAlive = framing.keepsAlive
        self.fields = fields
        self.bytes = bytes
    }

    private static func lowercaseNames(in bytes: inout [UInt8], _ fields: [Field]) {
        var span = bytes.mutableSpan
        for field in fields {
            for offset in field.name { span[offset] = Octet.lowercased(span[offset]) }
        }
    }

    /// The host as sent, with its port.
    public var host: Range<Int>? { authority?.range }

    /// Whether bytes follow the head that belong to it.
    public var hasBody: Bool { isChunked || (contentLength ?? 0) > 0 }

    /// The version of HTTP as handlers see it: 10, 11 or 20.
    public var version: UInt16 { http2 == nil ? UInt16(10 + minorVersion) : 20 }

    /// The name of the method as sent.
    public var methodName: String { string(methodRange) }

    /// A range of the head as text; bytes that are not UTF-8 become replacement characters.
    public func string(_ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self)
    }
}
