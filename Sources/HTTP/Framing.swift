/// What the header lines of a request say about where its body ends and which host it is for (RFC 9112 3.2, 6 and 9).
struct Framing {
    private(set) var host: Authority?
    private(set) var contentLength: Int?
    private(set) var isChunked = false
    private var isClosing = false
    private var isKeptAlive = false
    private let minorVersion: Int

    /// RFC 9112 9.3: HTTP/1.1 persists unless told to close, HTTP/1.0 closes unless told to keep alive.
    var keepsAlive: Bool { !isClosing && (minorVersion == 1 || isKeptAlive) }

    /// Reads header lines whose names are in lower case.
    init(_ bytes: Span<UInt8>, _ fields: [RequestHead.Field], minorVersion: Int) throws(RequestHeadError) {
        self.minorVersion = minorVersion
        var codings = TransferCodings()
        for field in fields {
            // The length tells nearly all names apart before any byte is compared.
            switch field.name.count {
            case 4 where bytes.equals("host", in: field.name):
                // RFC 9112 3.2: 400 to "any request message that contains more than one Host header field line".
                guard host == nil else { throw .duplicateHost }
                guard let authority = Authority(bytes, in: field.value) else { throw .badHost }
                host = authority
            case 10 where bytes.equals("connection", in: field.name):
                readConnection(bytes, field.value)
            case 14 where bytes.equals("content-length", in: field.name):
                guard contentLength == nil else { throw .duplicateContentLength }
                contentLength = try Self.length(bytes, field.value)
            case 17 where bytes.equals("transfer-encoding", in: field.name):
                codings.read(bytes, field.value)
            default: continue
            }
        }
        guard host != nil || minorVersion == 0 else { throw .missingHost }
        guard codings.isPresent else { return }
        // RFC 9112 6.3: "such a message might indicate an attempt to perform request smuggling".
        guard contentLength == nil else { throw .contentLengthWithTransferEncoding }
        // RFC 9112 6.1: Transfer-Encoding in HTTP/1.0 means that "the framing is faulty".
        guard minorVersion == 1 else { throw .badTransferEncoding }
        try codings.check()
        isChunked = true
    }

    private mutating func readConnection(_ bytes: Span<UInt8>, _ value: Range<Int>) {
        var scanner = ElementScanner(value)
        while let element = scanner.next(bytes) {
            switch element.count {
            case 5 where bytes.equalsIgnoringCase("close", in: element): isClosing = true
            case 10 where bytes.equalsIgnoringCase("keep-alive", in: element): isKeptAlive = true
            default: continue
            }
        }
    }

    /// RFC 9110 8.6: `1*DIGIT`. A list, even of equal numbers, is refused: no honest client sends it.
    private static func length(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(RequestHeadError) -> Int {
        guard !value.isEmpty else { throw .badContentLength }
        var length = 0
        for offset in value {
            let byte = bytes[offset]
            guard Octet.isDigit(byte) else { throw .badContentLength }
            let (tenfold, isTooLarge) = length.multipliedReportingOverflow(by: 10)
            let (sum, isOverflow) = tenfold.addingReportingOverflow(Int(byte &- 0x30))
            guard !isTooLarge, !isOverflow else { throw .badContentLength }
            length = sum
        }
        return length
    }
}

/// The codings of all Transfer-Encoding lines, in order.
private struct TransferCodings {
    private(set) var isPresent = false
    private var chunked = 0
    private var others = 0
    private var isLastChunked = false

    mutating func read(_ bytes: Span<UInt8>, _ value: Range<Int>) {
        isPresent = true
        var scanner = ElementScanner(value)
        while let element = scanner.next(bytes) {
            isLastChunked = bytes.equalsIgnoringCase("chunked", in: element)
            if isLastChunked { chunked += 1 } else { others += 1 }
        }
    }

    func check() throws(RequestHeadError) {
        // RFC 9112 6.3: if "chunked" is not the final coding of a request, "the server MUST respond with the 400".
        guard isLastChunked, chunked == 1 else { throw .badTransferEncoding }
        // RFC 9112 6.1: "SHOULD respond with 501" to a transfer coding that is not understood.
        guard others == 0 else { throw .unknownTransferCoding }
    }
}
