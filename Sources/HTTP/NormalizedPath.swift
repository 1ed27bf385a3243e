/// A path in the one spelling that routing and authorisation compare (RFC 3986 6.2.2).
///
/// Unreserved characters are decoded, other percent-encodings are kept with upper-case digits, dot segments are gone.
/// `%2F` stays as it is and so never changes the route; a backslash is an ordinary character; empty segments (`//`)
/// are kept, so such a path equals no route that is written without them.
public struct NormalizedPath: Sendable, Hashable {
    /// The normalised path, which begins with a slash.
    public let bytes: [UInt8]
    /// The path for handlers: valid UTF-8, everything decoded but `%2F`.
    public let decoded: [UInt8]

    /// The `*` of OPTIONS, which is no path.
    static let asterisk = NormalizedPath(bytes: [0x2A], decoded: [0x2A])

    private init(bytes: [UInt8], decoded: [UInt8]) {
        self.bytes = bytes
        self.decoded = decoded
    }

    /// Normalises a path that begins with a slash or is empty, which means `/`.
    public init(_ raw: Span<UInt8>, in range: Range<Int>) throws(RequestHeadError) {
        guard let first = range.first else {
            self.init(bytes: [Octet.slash], decoded: [Octet.slash])
            return
        }
        guard raw[first] == Octet.slash else { throw .badTarget }
        if Self.isNormal(raw, in: range) {
            let bytes = raw.copy(range)
            self.init(bytes: bytes, decoded: bytes)
        } else {
            let bytes = try Self.normalize(raw, in: range)
            self.init(bytes: bytes, decoded: try Self.decode(bytes))
        }
    }

    /// Normalises a text, such as a path in a configuration.
    public init(_ text: String) throws(RequestHeadError) {
        let bytes = Array(text.utf8)
        try self.init(bytes.span, in: bytes.indices)
    }

    /// The raw segments of the path, as ranges into `bytes`: `/a//b` has `a`, an empty one and `b`; `/` an empty one.
    public var segments: Segments { Segments(bytes: bytes) }

    /// A segment, or the rest of the path from one on, with everything decoded, `%2F` too.
    public func decode(_ range: Range<Int>) -> [UInt8] {
        PercentEncoding.decode(bytes.span, in: range)
    }

    /// The segments of a path in order; walking them allocates nothing.
    public struct Segments: Sequence, IteratorProtocol, Sendable {
        private let bytes: [UInt8]
        private var slash = 0

        fileprivate init(bytes: [UInt8]) {
            self.bytes = bytes
        }

        public mutating func next() -> Range<Int>? {
            guard slash < bytes.count, bytes[slash] == Octet.slash else { return nil }
            let start = slash + 1
            var end = start
            while end < bytes.count, bytes[end] != Octet.slash { end += 1 }
            slash = end
            return start..<end
        }
    }

    /// Whether nothing needs to be done, as for nearly every path: no escape and no segment that begins with a dot.
    private static func isNormal(_ raw: Span<UInt8>, in range: Range<Int>) -> Bool {
        var isSegmentStart = false
        for offset in range {
            let byte = raw[offset]
            if byte == Octet.percent || byte >= 0x80 || (byte == Octet.dot && isSegmentStart) { return false }
            isSegmentStart = byte == Octet.slash
        }
        return true
    }

    private static func normalize(_ raw: Span<UInt8>, in range: Range<Int>) throws(RequestHeadError) -> [UInt8] {
        var path: [UInt8] = []
        path.reserveCapacity(range.count)
        var position = range.lowerBound
        while position < range.upperBound {
            // `position` stands at the slash in front of a segment.
            let start = path.count
            path.append(Octet.slash)
            position += 1
            while position < range.upperBound, raw[position] != Octet.slash {
                position = try appendNormalized(raw, at: position, before: range.upperBound, to: &path)
            }
            // RFC 3986 5.2.4, after decoding: "." and ".." are the same written as %2e.
            let isLast = position == range.upperBound
            switch path.count - start {
            case 2 where path[start + 1] == Octet.dot:
                path.removeSubrange(start...)
            case 3 where path[start + 1] == Octet.dot && path[start + 2] == Octet.dot:
                path.removeSubrange(start...)
                // RFC 3986 would stay at the root; climbing out of it is never an honest request.
                guard let parent = path.lastIndex(of: Octet.slash) else { throw .pathEscapesRoot }
                path.removeSubrange(parent...)
            default: continue
            }
            if isLast { path.append(Octet.slash) }
        }
        return path
    }

    /// Writes the byte or the escape at `position` in its normal form and returns where the next one begins.
    private static func appendNormalized(
        _ raw: Span<UInt8>, at position: Int, before end: Int, to path: inout [UInt8]
    ) throws(RequestHeadError) -> Int {
        let byte = raw[position]
        guard byte == Octet.percent else {
            path.append(byte)
            return position + 1
        }
        guard let decoded = PercentEncoding.byte(raw, at: position, before: end) else { throw .badPath }
        guard !Octet.isControl(decoded) else { throw .badPath }
        if Octet.isUnreserved(decoded) {
            path.append(decoded)
        } else {
            // RFC 3986 6.2.2.1: the digits of a percent-encoding are normalised to upper case.
            path.append(Octet.percent)
            path.append(PercentEncoding.digits[Int(decoded >> 4)])
            path.append(PercentEncoding.digits[Int(decoded & 15)])
        }
        return position + 3
    }

    private static func decode(_ path: [UInt8]) throws(RequestHeadError) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(path.count)
        let bytes = path.span
        var position = 0
        while position < path.count {
            if let byte = PercentEncoding.byte(bytes, at: position, before: path.count), byte != Octet.slash {
                decoded.append(byte)
                position += 3
            } else {
                decoded.append(path[position])
                position += 1
            }
        }
        guard (try? UTF8Span(validating: decoded.span)) != nil else { throw .badPath }
        return decoded
    }
}
