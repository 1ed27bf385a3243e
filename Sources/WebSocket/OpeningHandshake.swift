import COpenSSL
public import HTTP

/// The server's side of the opening handshake (RFC 6455 4.2) as a decision about a request head; no I/O.
public struct OpeningHandshake: Sendable {
    /// What a request head is, seen as an opening handshake.
    public enum Outcome: Sendable {
        /// A request of plain HTTP.
        case notWebSocket
        /// Meant to be an opening handshake, and wrong; the connection closes behind the answer.
        case refused(HandshakeRefusal)
        /// A correct one. Nothing is agreed on until the 101 is written.
        case offered(OpeningHandshake)
    }

    /// Most subprotocols of one offer: they are compared pair by pair, and no client has a dozen.
    public static let maxSubprotocols = 64

    /// The value of Sec-WebSocket-Accept that answers the key of the client.
    public let accept: InlineArray<28, UInt8>
    /// The subprotocols in the order of the client's preference, as ranges into the head.
    public let subprotocols: [Range<Int>]
    /// The extensions offered, each with its parameters and not yet read, as ranges into the head.
    public let extensions: [Range<Int>]

    /// Judges a request head.
    public static func evaluate(_ head: RequestHead) -> Outcome {
        if let request = head.http2 { return evaluate(head, request) }
        // RFC 9110 7.8: "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request."
        guard head.minorVersion == 1, head.hasToken("websocket", in: "upgrade") else { return .notWebSocket }
        do throws(HandshakeRefusal) {
            return .offered(try OpeningHandshake(head))
        } catch {
            return .refused(error)
        }
    }

    /// The same of a request over HTTP/2: an extended CONNECT stands for the upgrade and for its key (RFC 8441 5).
    private static func evaluate(_ head: RequestHead, _ request: RequestHead.HTTP2Request) -> Outcome {
        do throws(HandshakeRefusal) {
            switch request {
            case .plain: return .notWebSocket
            case .unknownProtocol: throw .unknownProtocol
            case .webSocket: return .offered(try OpeningHandshake(extendedConnect: head))
            }
        } catch {
            return .refused(error)
        }
    }

    private init(extendedConnect head: RequestHead) throws(HandshakeRefusal) {
        guard !head.hasBody else { throw .bodyNotAllowed }
        try Self.checkVersion(of: head)
        subprotocols = try Self.subprotocols(of: head)
        extensions = Array(head.elements(of: "sec-websocket-extensions"))
        // Never sent over HTTP/2. What relays the request has it written, and reads over it.
        accept = InlineArray(repeating: UInt8(ascii: "="))
    }

    private static func checkVersion(of head: RequestHead) throws(HandshakeRefusal) {
        guard head.count("sec-websocket-version") == 1, let version = head.first("sec-websocket-version"),
            head.bytes.span.equals("13", in: version)
        else { throw .unsupportedVersion }
    }

    private init(_ head: RequestHead) throws(HandshakeRefusal) {
        guard head.method == .get else { throw .methodNotAllowed }
        // RFC 6455 4.2.1 wants both. The wish to upgrade is plain, so it is refused rather than served as a page.
        guard head.hasToken("upgrade", in: "connection") else { throw .missingConnectionUpgrade }
        // Bytes of a body would be taken for frames: the classic way to smuggle past a proxy.
        guard !head.hasBody else { throw .bodyNotAllowed }
        try Self.checkVersion(of: head)
        guard let key = head.first("sec-websocket-key") else { throw .missingKey }
        // RFC 6455 11.3.1: the key "MUST NOT appear more than once in an HTTP request".
        guard head.count("sec-websocket-key") == 1, Self.isKey(head.bytes.span, in: key) else { throw .badKey }
        subprotocols = try Self.subprotocols(of: head)
        extensions = Array(head.elements(of: "sec-websocket-extensions"))
        guard let digest = AcceptDigest.sha1(of: head.bytes.span.extracting(key)) else { throw .digestUnavailable }
        accept = AcceptDigest.base64(digest)
    }

    /// Whether a key is what 16 bytes look like in base64: 22 characters of its alphabet and two pads.
    ///
    /// The four bits that no byte uses may be anything: the key is never decoded, only echoed in a digest.
    private static func isKey(_ bytes: Span<UInt8>, in range: Range<Int>) -> Bool {
        guard range.count == 24 else { return false }
        for offset in range.dropLast(2) {
            switch bytes[offset] {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2F: continue
            default: return false
            }
        }
        return bytes[range.upperBound - 2] == 0x3D && bytes[range.upperBound - 1] == 0x3D
    }

    /// RFC 6455 4.1: the subprotocols are tokens "and MUST all be unique strings"; at least one if the header is there.
    private static func subprotocols(of head: RequestHead) throws(HandshakeRefusal) -> [Range<Int>] {
        var offered: [Range<Int>] = []
        let bytes = head.bytes.span
        for candidate in head.elements(of: "sec-websocket-protocol") {
            for offset in candidate where !Octet.isToken(bytes[offset]) { throw .badSubprotocol }
            for other in offered where bytes.equals(bytes.extracting(other), in: candidate) { throw .badSubprotocol }
            guard offered.count < maxSubprotocols else { throw .tooManySubprotocols }
            offered.append(candidate)
        }
        guard !offered.isEmpty || head.first("sec-websocket-protocol") == nil else { throw .badSubprotocol }
        return offered
    }

    /// The offered subprotocol with a name, which is compared with its case; nil if the client did not offer it.
    public func subprotocol(_ name: Span<UInt8>, in head: RequestHead) -> Range<Int>? {
        let bytes = head.bytes.span
        for candidate in subprotocols where bytes.equals(name, in: candidate) { return candidate }
        return nil
    }

    private static let front: StaticString = """
        HTTP/1.1 101 Switching Protocols\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Accept: 
        """

    /// Writes the 101 (RFC 6455 4.2.2) behind what `output` has already.
    ///
    /// - Parameters:
    ///   - subprotocol: one of the offered ranges of `head`, or nil for none.
    ///   - extensions: the value of Sec-WebSocket-Extensions that was agreed on; empty for none.
    ///   - headers: further lines, which were checked when they were added.
    public func appendSwitchingProtocols(
        to output: inout [UInt8], subprotocol: Range<Int>? = nil, of head: RequestHead,
        extensions: [UInt8] = [], headers: ResponseHeaders = ResponseHeaders()
    ) {
        output.reserveCapacity(output.count + 256 + extensions.count + headers.bytes.count)
        Self.front.withUTF8Buffer { unsafe output.append(contentsOf: $0) }
        unsafe accept.span.withUnsafeBufferPointer { unsafe output.append(contentsOf: $0) }
        if let subprotocol {
            output.append(contentsOf: "\r\nSec-WebSocket-Protocol: ".utf8)
            output.append(contentsOf: head.bytes[subprotocol])
        }
        if !extensions.isEmpty {
            output.append(contentsOf: "\r\nSec-WebSocket-Extensions: ".utf8)
            output.append(contentsOf: extensions)
        }
        output.append(contentsOf: "\r\n".utf8)
        output.append(contentsOf: headers.bytes)
        output.append(contentsOf: "\r\n".utf8)
    }

    /// The acceptance over HTTP/2, with the same parameters (RFC 8441 5: a status of 2xx, and no Sec-WebSocket-Accept).
    public func acceptance(
        subprotocol: Range<Int>?, of head: RequestHead, extensions: [UInt8], headers: ResponseHeaders
    ) -> FieldList {
        var fields = FieldList(status: 200)
        if let subprotocol { fields.append("sec-websocket-protocol", head.bytes[subprotocol]) }
        if !extensions.isEmpty { fields.append("sec-websocket-extensions", extensions) }
        fields.append(headers)
        return fields
    }
}

/// Why an opening handshake was refused.
public enum HandshakeRefusal: Error, Sendable, CaseIterable {
    case methodNotAllowed
    case missingConnectionUpgrade
    case bodyNotAllowed
    case unsupportedVersion
    case missingKey
    case badKey
    case badSubprotocol
    case tooManySubprotocols
    case digestUnavailable
    case unknownProtocol

    /// The status of the answer.
    public var status: Int {
        switch self {
        case .methodNotAllowed: 405
        case .unsupportedVersion: 426
        case .digestUnavailable: 500
        case .unknownProtocol: 501
        case .missingConnectionUpgrade, .bodyNotAllowed, .missingKey, .badKey, .badSubprotocol, .tooManySubprotocols:
            400
        }
    }

    /// The code word for the body, the log and the label of the metric.
    public var word: String {
        switch self {
        case .methodNotAllowed: "method-not-allowed"
        case .missingConnectionUpgrade: "missing-connection-upgrade"
        case .bodyNotAllowed: "body-not-allowed"
        case .unsupportedVersion: "unsupported-version"
        case .missingKey: "missing-key"
        case .badKey: "bad-key"
        case .badSubprotocol: "bad-subprotocol"
        case .tooManySubprotocols: "too-many-subprotocols"
        case .digestUnavailable: "digest-unavailable"
        case .unknownProtocol: "unknown-protocol"
        }
    }

    /// What went wrong, in a sentence for people.
    public var sentence: String {
        switch self {
        case .methodNotAllowed: "An opening handshake is a GET."
        case .missingConnectionUpgrade: "Upgrade: websocket needs Connection: Upgrade; perhaps a proxy took it away."
        case .bodyNotAllowed: "An opening handshake has no body."
        case .unsupportedVersion: "The only version of WebSocket spoken here is 13."
        case .missingKey: "Sec-WebSocket-Key is missing."
        case .badKey: "Sec-WebSocket-Key has to be 16 bytes in base64, once."
        case .badSubprotocol: "Sec-WebSocket-Protocol has to list tokens that differ from each other."
        case .tooManySubprotocols: "The request offers more subprotocols than the gateway compares."
        case .unknownProtocol: "The only protocol that an extended CONNECT opens here is websocket."
        case .digestUnavailable: "The gateway's cryptographic library does not offer SHA-1."
        }
    }

    /// The answer with the headers its status has to have, after which the connection closes.
    public var response: PlainResponse {
        var response = PlainResponse(status: status, word: word, sentence: sentence)
        // RFC 9110 15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
        if self == .methodNotAllowed { response.allow = "GET" }
        // RFC 6455 4.4: a version that is not understood is answered with the versions that are.
        if self == .unsupportedVersion { response.webSocketVersion = "13" }
        return response
    }
}

extension OpeningHandshake {
    /// What a server answers to the key of a client; nil for one that is not of 24 bytes.
    public static func answer(toKey key: [UInt8]) -> String? {
        AcceptDigest.sha1(of: key.span).map { digest in
            let text = AcceptDigest.base64(digest)
            return String(decoding: text.indices.map { text[$0] }, as: UTF8.self)
        }
    }
}

/// The proof that the handshake was understood: SHA-1 over key and GUID, in base64 (RFC 6455 4.2.2).
private enum AcceptDigest {
    private static let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// The algorithm, looked up once: OpenSSL 3 spends more on the look-up of `SHA1()` than on the digest (309 against
    /// 135 ns). An EVP_MD never changes after its fetch and OpenSSL shares it between threads; it is never freed.
    private nonisolated(unsafe) static let algorithm: OpaquePointer? = unsafe EVP_MD_fetch(nil, "SHA1", nil)

    /// The digest of a key of 24 bytes; nil if the library has no SHA-1.
    static func sha1(of key: Span<UInt8>) -> InlineArray<20, UInt8>? {
        guard key.count == 24, let algorithm = unsafe algorithm else { return nil }
        var input = InlineArray<60, UInt8>(repeating: 0)
        for index in key.indices { input[index] = key[index] }
        let guid = guid.utf8.span
        for index in guid.indices { input[24 + index] = guid[index] }
        var digest = InlineArray<20, UInt8>(repeating: 0)
        var output = digest.mutableSpan
        // The call reads 60 bytes, writes 20, and keeps neither pointer.
        let result = unsafe input.span.withUnsafeBufferPointer { text in
            unsafe output.withUnsafeMutableBufferPointer { digest in
                unsafe EVP_Digest(text.baseAddress, text.count, digest.baseAddress, nil, algorithm, nil)
            }
        }
        return result == 1 ? digest : nil
    }

    /// 20 bytes in base64: six groups of three, and two bytes with one pad.
    static func base64(_ digest: InlineArray<20, UInt8>) -> InlineArray<28, UInt8> {
        var text = InlineArray<28, UInt8>(repeating: 0x3D)
        for group in 0..<7 {
            let first = UInt32(digest[group * 3]) << 16
            let second = UInt32(digest[group * 3 + 1]) << 8
            let third = group < 6 ? UInt32(digest[group * 3 + 2]) : 0
            let bits = first | second | third
            text[group * 4] = character(bits >> 18)
            text[group * 4 + 1] = character(bits >> 12)
            text[group * 4 + 2] = character(bits >> 6)
            if group < 6 { text[group * 4 + 3] = character(bits) }
        }
        return text
    }

    private static func character(_ bits: UInt32) -> UInt8 {
        let value = UInt8(truncatingIfNeeded: bits & 63)
        return switch value {
        case 0..<26: value &+ 0x41
        case 26..<52: value &+ 0x47
        case 52..<62: value &- 4
        case 62: 0x2B
        default: 0x2F
        }
    }
}
