import HTTP

/// The header list of a request, written as the head of HTTP/1.1 that says the same: so the one reader that is strict about
/// heads judges both.
///
/// nghttp2 has found the pseudo-header fields to be those that RFC 9113 8.3.1 and RFC 8441 4 ask for, in front and once each,
/// names in lower case, and values without line ends.
struct RequestText {
    private var method: [UInt8] = []
    private var path: [UInt8] = []
    private var authority: [UInt8] = []
    private var connectProtocol: [UInt8]?
    private var host: [UInt8] = []
    private var cookies: [UInt8] = []
    private var hasLength = false
    private var lines: [UInt8] = []
    /// As SETTINGS_MAX_HEADER_LIST_SIZE counts it.
    private(set) var size = 0
    private let most: Int

    /// - Parameter most: larger lists are cut, so that the reader finds them too large.
    init(most: Int) { self.most = most }

    /// What was asked for.
    var kind: RequestHead.HTTP2Request {
        guard let connectProtocol else { return .plain }
        return connectProtocol.elementsEqual("websocket".utf8) ? .webSocket : .unknownProtocol
    }

    /// - Returns: false where the pair cannot be a line.
    mutating func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        size += name.count + value.count + 32
        if size > most * 2 { return false }
        guard unsafe value.allSatisfy({ $0 != Octet.carriageReturn && $0 != Octet.lineFeed && $0 != 0 }) else {
            return false
        }
        switch unsafe String(decoding: name, as: UTF8.self) {
        case ":method": method = unsafe Array(value)
        case ":path": path = unsafe Array(value)
        case ":authority": authority = unsafe Array(value)
        case ":protocol": connectProtocol = unsafe Array(value)
        case ":scheme": break
        case "host": host = unsafe Array(value)
        case "cookie":
            // RFC 9113 8.2.3: crumbs are one string where the fields leave HTTP/2.
            if !cookies.isEmpty { cookies.append(contentsOf: "; ".utf8) }
            unsafe cookies.append(contentsOf: value)
        default:
            if unsafe name.elementsEqual("content-length".utf8) { hasLength = true }
            if lines.count <= most { unsafe Self.append(name, value, to: &lines) }
        }
        return true
    }

    private static func append(_ name: some Sequence<UInt8>, _ value: some Sequence<UInt8>, to lines: inout [UInt8]) {
        lines.append(contentsOf: name)
        lines.append(contentsOf: ": ".utf8)
        lines.append(contentsOf: value)
        lines.append(contentsOf: "\r\n".utf8)
    }

    /// - Parameter isWhole: nothing follows the head.
    func text(isWhole: Bool) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(64 + path.count + lines.count + cookies.count + authority.count)
        // An extended CONNECT takes the place of the GET that upgrades.
        text.append(contentsOf: connectProtocol == nil ? method : Array("GET".utf8))
        text.append(Octet.space)
        text.append(contentsOf: path.isEmpty ? authority : path)
        text.append(contentsOf: " HTTP/1.1\r\n".utf8)
        // RFC 9113 8.3.1: a host that says something else than :authority is an error, as two lines of it are.
        if !authority.isEmpty { Self.append("host".utf8, authority, to: &text) }
        if !host.isEmpty, host != authority { Self.append("host".utf8, host, to: &text) }
        text.append(contentsOf: lines)
        if !cookies.isEmpty { Self.append("cookie".utf8, cookies, to: &text) }
        // A body of unknown length, as chunks are.
        if !isWhole, !hasLength, connectProtocol == nil {
            Self.append("transfer-encoding".utf8, "chunked".utf8, to: &text)
        }
        text.append(contentsOf: "\r\n".utf8)
        return text
    }
}
