import HTTP

/// Reads what the process of a handler answers over HTTP/1.1 to a request that has come over HTTP/2, for the stream of that.
struct RelayedAnswer {
    /// What has been found.
    enum Part {
        /// An answer that is followed by another one (RFC 9110 15.2).
        case interim(FieldList)
        /// The answer, and what has come of the body behind it.
        case answer(FieldList, body: ArraySlice<UInt8>)
        /// It is none.
        case nonsense
    }

    /// What HTTP/2 takes of a header list.
    private static let longest = 64 << 10
    /// RFC 9113 8.2.2: of the connection alone; and what answers the key that HTTP/2 does not have (RFC 8441 5).
    private static let ofConnection: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "sec-websocket-accept",
    ]

    private var bytes: [UInt8] = []
    /// Where the empty line is looked for next.
    private var looked = 0

    mutating func append(_ more: UnsafeRawBufferPointer) { unsafe bytes.append(contentsOf: more) }

    /// The next part; nil while it is not whole.
    mutating func next() -> Part? {
        guard let end = endOfHead() else { return bytes.count > Self.longest ? .nonsense : nil }
        let lines = bytes[..<end]
        let rest = bytes[(end + 4)...]
        guard end <= Self.longest, let (status, fields) = Self.fields(lines) else { return .nonsense }
        if (100...199).contains(status), status != 101 {
            bytes = Array(rest)
            looked = 0
            return .interim(fields)
        }
        return .answer(fields, body: rest)
    }

    /// Where the empty line begins that ends the head.
    private mutating func endOfHead() -> Int? {
        while looked + 4 <= bytes.count {
            if bytes[looked] == Octet.carriageReturn, bytes[looked + 1] == Octet.lineFeed,
                bytes[looked + 2] == Octet.carriageReturn, bytes[looked + 3] == Octet.lineFeed
            {
                return looked
            }
            looked += 1
        }
        return nil
    }

    /// The same head as HTTP/2 has it; nil when it is none.
    private static func fields(_ head: ArraySlice<UInt8>) -> (status: Int, FieldList)? {
        let lines = head.split(separator: Octet.lineFeed, omittingEmptySubsequences: false).map { line in
            line.last == Octet.carriageReturn ? line.dropLast() : line
        }
        guard let first = lines.first, first.starts(with: "HTTP/1.1 ".utf8),
            let status = Int(String(decoding: first.dropFirst(9).prefix(3), as: UTF8.self)),
            (100...599).contains(status)
        else { return nil }
        // RFC 8441 5: 2xx stands for 101.
        var fields = FieldList(status: status == 101 ? 200 : status)
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: Octet.colon), colon > line.startIndex else { return nil }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            if ofConnection.contains(name) { continue }
            fields.append(name, line[(colon + 1)...].drop { $0 == Octet.space })
        }
        return (status, fields)
    }
}
