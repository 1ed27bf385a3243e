/// Why a request head was refused; the connection closes after the answer, because what follows cannot be trusted.
public enum RequestHeadError: Error, Sendable, CaseIterable {
    case badRequestLine
    case methodTooLong
    case unsupportedVersion
    case requestLineTooLong
    case badTarget
    case badPath
    case pathEscapesRoot
    case connectNotSupported
    case headTooLarge
    case tooManyHeaders
    case bareCarriageReturn
    case bareLineFeed
    case obsoleteFolding
    case spaceBeforeColon
    case badHeaderName
    case badHeaderValue
    case missingHost
    case duplicateHost
    case badHost
    case badContentLength
    case duplicateContentLength
    case contentLengthWithTransferEncoding
    case badTransferEncoding
    case unknownTransferCoding

    /// The status of the answer.
    public var status: Int {
        switch self {
        case .requestLineTooLong: 414
        case .headTooLarge, .tooManyHeaders: 431
        case .unsupportedVersion: 505
        case .methodTooLong, .unknownTransferCoding: 501
        case .connectNotSupported: 405
        case .badRequestLine, .badTarget, .badPath, .pathEscapesRoot, .bareCarriageReturn, .bareLineFeed,
            .obsoleteFolding, .spaceBeforeColon, .badHeaderName, .badHeaderValue, .missingHost, .duplicateHost,
            .badHost, .badContentLength, .duplicateContentLength, .contentLengthWithTransferEncoding,
            .badTransferEncoding:
            400
        }
    }

    /// The code word for the body, the log and the label of the metric.
    public var word: String {
        switch self {
        case .badRequestLine: "bad-request-line"
        case .methodTooLong: "method-too-long"
        case .unsupportedVersion: "unsupported-http-version"
        case .requestLineTooLong: "request-line-too-long"
        case .badTarget: "bad-target"
        case .badPath: "bad-path"
        case .pathEscapesRoot: "path-escapes-root"
        case .connectNotSupported: "connect-not-supported"
        case .headTooLarge: "head-too-large"
        case .tooManyHeaders: "too-many-headers"
        case .bareCarriageReturn: "bare-carriage-return"
        case .bareLineFeed: "bare-line-feed"
        case .obsoleteFolding: "obsolete-folding"
        case .spaceBeforeColon: "space-before-colon"
        case .badHeaderName: "bad-header-name"
        case .badHeaderValue: "bad-header-value"
        case .missingHost: "missing-host"
        case .duplicateHost: "duplicate-host"
        case .badHost: "bad-host"
        case .badContentLength: "bad-content-length"
        case .duplicateContentLength: "duplicate-content-length"
        case .contentLengthWithTransferEncoding: "content-length-with-transfer-encoding"
        case .badTransferEncoding: "bad-transfer-encoding"
        case .unknownTransferCoding: "unknown-transfer-coding"
        }
    }

    /// What went wrong, in a sentence for people.
    public var sentence: String {
        switch self {
        case .badRequestLine: "The first line is not a method, a target and an HTTP version with one space between."
        case .methodTooLong: "No method is that long."
        case .unsupportedVersion: "Only HTTP/1.1 and HTTP/1.0 are spoken here."
        case .requestLineTooLong: "The request line is longer than the gateway reads."
        case .badTarget: "The request target is neither a path, nor an http or ws URI, nor * for OPTIONS."
        case .badPath: "The path has a bad percent-encoding, an encoded control character or is not UTF-8."
        case .pathEscapesRoot: "The path climbs above its root."
        case .connectNotSupported: "The gateway is no proxy."
        case .headTooLarge: "The request head is larger than the gateway reads (max_head)."
        case .tooManyHeaders: "The request has more header lines than the gateway reads (max_headers)."
        case .bareCarriageReturn: "A carriage return stands without its line feed."
        case .bareLineFeed: "A line feed stands without its carriage return."
        case .obsoleteFolding: "A header line begins with whitespace."
        case .spaceBeforeColon: "Whitespace stands between a header name and its colon."
        case .badHeaderName: "A header name is empty or has a character that names cannot have."
        case .badHeaderValue: "A header value has a control character."
        case .missingHost: "An HTTP/1.1 request needs a Host header."
        case .duplicateHost: "The request has more than one Host header."
        case .badHost: "The host is not a name or an address with an optional port."
        case .badContentLength: "Content-Length is not a number the gateway can count to."
        case .duplicateContentLength: "The request has more than one Content-Length."
        case .contentLengthWithTransferEncoding: "Content-Length and Transfer-Encoding exclude each other."
        case .badTransferEncoding: "Transfer-Encoding has to end with chunked, once, in HTTP/1.1."
        case .unknownTransferCoding: "The only transfer coding known here is chunked."
        }
    }
}
