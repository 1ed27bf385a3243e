/// What a request asks for (RFC 9112 3.2), as ranges into the head and a path that is safe to route on.
public struct RequestTarget: Sendable {
    /// The forms that are taken; authority-form belongs to CONNECT, which is refused.
    public enum Form: Sendable {
        /// `/path?query`
        case origin
        /// `http://host/path?query`, also https, ws and wss
        case absolute
        /// `*`, for OPTIONS only
        case asterisk
    }

    public let form: Form
    /// The target as sent.
    public let range: Range<Int>
    /// The host and port of the absolute form; nil for the others.
    public let authority: Authority?
    /// The path as sent; empty if the absolute form has none.
    public let rawPath: Range<Int>
    /// The query as sent, without its question mark; nil if there is no question mark.
    public let rawQuery: Range<Int>?
    /// The one path to route and to authorise on; `*` for the asterisk form, which no route can match.
    public let path: NormalizedPath

    init(_ bytes: Span<UInt8>, in range: Range<Int>, of method: Method) throws(RequestHeadError) {
        // RFC 9110 9.3.6: an origin server may leave CONNECT out, "most origin servers do not implement" it.
        guard method != .connect else { throw .connectNotSupported }
        for offset in range where !Octet.isTarget(bytes[offset]) { throw .badTarget }
        self.range = range
        var pathStart = range.lowerBound
        switch bytes[pathStart] {
        case Octet.slash:
            form = .origin
            authority = nil
        case 0x2A:
            // RFC 9112 3.2.4: "The asterisk-form ... is only used for a server-wide OPTIONS request".
            guard method == .options, range.count == 1 else { throw .badTarget }
            form = .asterisk
            authority = nil
            rawPath = range
            rawQuery = nil
            path = .asterisk
            return
        default:
            let authority = try Self.authority(bytes, in: range)
            form = .absolute
            self.authority = authority
            pathStart = authority.range.upperBound
        }
        let question = bytes.firstIndex(of: 0x3F, in: pathStart..<range.upperBound)
        rawPath = pathStart..<(question ?? range.upperBound)
        rawQuery = question.map { $0 + 1..<range.upperBound }
        path = try NormalizedPath(bytes, in: rawPath)
    }

    /// RFC 9112 3.2.2: a server "MUST accept the absolute-form in requests".
    private static func authority(_ bytes: Span<UInt8>, in range: Range<Int>) throws(RequestHeadError) -> Authority {
        guard let colon = bytes.firstIndex(of: Octet.colon, in: range) else { throw .badTarget }
        let scheme = range.lowerBound..<colon
        let start = colon + 3
        guard start < range.upperBound, bytes.equals("//", in: colon + 1..<start),
            bytes.equalsIgnoringCase("http", in: scheme)
                || bytes.equalsIgnoringCase("https", in: scheme)
                || bytes.equalsIgnoringCase("ws", in: scheme)
                || bytes.equalsIgnoringCase("wss", in: scheme)
        else { throw .badTarget }
        var end = start
        while end < range.upperBound, bytes[end] != Octet.slash, bytes[end] != 0x3F { end += 1 }
        guard let authority = Authority(bytes, in: start..<end) else { throw .badHost }
        return authority
    }
}
