/// The first line of a request: method, target, version (RFC 9112 3).
struct RequestLine: Sendable {
    let method: Method
    let methodRange: Range<Int>
    let target: RequestTarget
    let minorVersion: Int

    /// Reads the line that begins with `method` and ends before `end`; the method is a token already.
    init(_ bytes: Span<UInt8>, method: Range<Int>, end: Int) throws(RequestHeadError) {
        let targetStart = method.upperBound + 1
        var targetEnd = targetStart
        while targetEnd < end, bytes[targetEnd] != Octet.space { targetEnd &+= 1 }
        // RFC 9112 3: exactly one space on each side. Being lenient about it is how requests get smuggled.
        guard targetEnd > targetStart, targetEnd < end else { throw .badRequestLine }
        minorVersion = try Self.minorVersion(bytes, in: targetEnd + 1..<end)
        methodRange = method
        self.method = Method(bytes, in: method)
        target = try RequestTarget(bytes, in: targetStart..<targetEnd, of: self.method)
    }

    /// RFC 9112 2.3: "HTTP-version is case-sensitive", `HTTP/` DIGIT `.` DIGIT.
    private static func minorVersion(_ bytes: Span<UInt8>, in range: Range<Int>) throws(RequestHeadError) -> Int {
        guard range.count == 8, bytes.equals("HTTP/", in: range.lowerBound..<range.lowerBound + 5),
            Octet.isDigit(bytes[range.lowerBound + 5]),
            bytes[range.lowerBound + 6] == Octet.dot,
            Octet.isDigit(bytes[range.lowerBound + 7])
        else { throw .badRequestLine }
        let minor = bytes[range.lowerBound + 7] &- 0x30
        // There is no HTTP/1.2 and never will be: a client that says so is not to be trusted with framing.
        guard bytes[range.lowerBound + 5] == 0x31, minor <= 1 else { throw .unsupportedVersion }
        return Int(minor)
    }
}
