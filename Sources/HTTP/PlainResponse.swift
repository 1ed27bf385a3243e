/// A small response with its whole body in memory.
public struct PlainResponse: Sendable {
    /// 200 to 599. Anything else that is given becomes 500: it was a mistake made on this side of the wire.
    public let status: Int
    public var contentType: String
    public var body: [UInt8]
    /// Further header lines; a Content-Type among them replaces `contentType`.
    public var headers = ResponseHeaders()
    /// The methods of an Allow header, which a 405 has to have (RFC 9110 15.5.6); nil for none.
    public var allow: String?
    /// The version of WebSocket to upgrade to, for a 426; nil for none.
    public var webSocketVersion: String?
    /// After how many seconds to ask again (RFC 9110 10.2.3); nil for nothing about that.
    public var retryAfter: Int?
    /// Whether the connection stays open behind the response.
    public var keepsAlive = false

    public init(status: Int, contentType: String = "text/plain; charset=utf-8", body: [UInt8] = []) {
        self.status = (200...599).contains(status) ? status : 500
        self.contentType = contentType
        self.body = body
    }

    /// A refusal that says its code word and a sentence in the body.
    public init(status: Int, word: String, sentence: String) {
        self.init(status: status, body: Array("\(word): \(sentence)\n".utf8))
    }

    /// The answer to a bad head, after which the connection closes.
    public init(refusing error: RequestHeadError) {
        self.init(status: error.status, word: error.word, sentence: error.sentence)
        if error.status == 405 { allow = "GET, HEAD, OPTIONS, POST" }
    }

    /// Writes the response behind what `output` has already.
    ///
    /// - Parameters:
    ///   - second: now, in seconds since the epoch.
    ///   - dates: the worker's cache of the Date header.
    ///   - headOnly: true answers HEAD: everything but the body, with the length of the body (RFC 9110 9.3.2).
    public func append(to output: inout [UInt8], at second: Int64, _ dates: inout DateCache, headOnly: Bool = false) {
        output.reserveCapacity(output.count + 256 + headers.bytes.count + body.count)
        output.append(contentsOf: "HTTP/1.1 ".utf8)
        output.append(decimal: status)
        output.append(Octet.space)
        output.append(contentsOf: reasonPhrase(of: status).utf8)
        output.append(contentsOf: "\r\nDate: ".utf8)
        output.append(contentsOf: dates.bytes(at: second))
        output.append(contentsOf: "\r\n".utf8)
        if hasContent {
            if !headers.hasContentType, !body.isEmpty { line("Content-Type: ", contentType, to: &output) }
            output.append(contentsOf: "Content-Length: ".utf8)
            output.append(decimal: body.count)
            output.append(contentsOf: "\r\n".utf8)
        }
        if let allow { line("Allow: ", allow, to: &output) }
        if let webSocketVersion {
            line("Upgrade: ", "websocket", to: &output)
            line("Sec-WebSocket-Version: ", webSocketVersion, to: &output)
        }
        if let retryAfter { line("Retry-After: ", String(retryAfter), to: &output) }
        output.append(contentsOf: headers.bytes)
        line("Connection: ", connection, to: &output)
        output.append(contentsOf: "\r\n".utf8)
        if hasContent, !headOnly { output.append(contentsOf: body) }
    }

    /// The head of the response over HTTP/2, which ends the stream behind the body (RFC 9113 8.2.2: nothing about the
    /// connection is said).
    ///
    /// - Parameter second: now, in seconds since the epoch.
    public func fields(at second: Int64, _ dates: inout DateCache) -> FieldList {
        var fields = FieldList(status: status)
        fields.append("date", dates.bytes(at: second))
        if hasContent {
            if !headers.hasContentType, !body.isEmpty { fields.append("content-type", contentType) }
            fields.append("content-length", String(body.count))
        }
        if let allow { fields.append("allow", allow) }
        if let webSocketVersion { fields.append("sec-websocket-version", webSocketVersion) }
        if let retryAfter { fields.append("retry-after", String(retryAfter)) }
        fields.append(headers)
        return fields
    }

    /// RFC 9110 8.6: no Content-Length in a 204; a 304 would have to give that of the 200, which is not known.
    public var hasContent: Bool { status != 204 && status != 304 }

    /// RFC 9110 7.8: a sender of Upgrade has to name it in Connection, too.
    private var connection: String {
        switch (webSocketVersion != nil, keepsAlive) {
        case (false, false): "close"
        case (false, true): "keep-alive"
        case (true, false): "Upgrade, close"
        case (true, true): "Upgrade, keep-alive"
        }
    }

    private func line(_ name: String, _ value: String, to output: inout [UInt8]) {
        output.append(contentsOf: name.utf8)
        output.append(contentsOf: value.utf8)
        output.append(contentsOf: "\r\n".utf8)
    }
}
