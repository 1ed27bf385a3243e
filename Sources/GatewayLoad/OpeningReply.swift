import HTTP

/// The client's side of the opening handshake (RFC 6455 4.1): a request that never changes, and what answers it.
package enum OpeningReply {
    /// What the bytes of a server begin with.
    package enum Outcome: Equatable {
        case needMore
        /// The connection is open; frames begin behind so many bytes. What was agreed on for compression, if it was.
        case open(length: Int, deflate: DeflateResponse? = nil)
        case refused(String)
    }

    /// The key of the RFC's own example, whose answer is known. A real client takes a new one each time (4.1); what
    /// that protects from, caches that replay an answer, is of no concern to a benchmark.
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    /// Longer heads are refused.
    package static let longest = 8192

    /// The bytes of the request.
    package static func request(for plan: LoadPlan) -> [UInt8] {
        var lines = [
            "GET \(plan.destination.path) HTTP/1.1", "Host: \(plan.destination.authority)", "Upgrade: websocket",
            "Connection: Upgrade", "Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13",
        ]
        if let subprotocol = plan.subprotocol { lines.append("Sec-WebSocket-Protocol: \(subprotocol)") }
        if plan.deflates { lines.append("Sec-WebSocket-Extensions: \(DeflateResponse.offer)") }
        lines += plan.headers
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    /// Judges the front of what a server sent.
    ///
    /// - Parameter offersDeflate: compression was offered, and has to be agreed on.
    package static func evaluate(_ bytes: Span<UInt8>, offersDeflate: Bool = false) -> Outcome {
        var isUpgrade = false
        var isAccepted = false
        var deflate: DeflateResponse?
        var lineStart = 0
        var number = 0
        while let end = lineEnd(bytes, from: lineStart) {
            let line = lineStart..<end
            if line.isEmpty {
                // RFC 6455 4.1: a reply without them fails the connection.
                guard isUpgrade, isAccepted else {
                    return .refused(
                        "the reply has \(isUpgrade ? "a wrong accept value, or none" : "no Upgrade header")")
                }
                if offersDeflate, deflate == nil { return .refused(Self.declined) }
                return .open(length: end + 2, deflate: deflate)
            }
            if number == 0, !bytes.extracting(line).starts(with: "HTTP/1.1 101") {
                return .refused("the reply is \"\(text(bytes, line.prefix(60)))\"")
            }
            if let colon = bytes.firstIndex(of: 0x3A, in: line), number > 0 {
                let name = lineStart..<colon
                let value = bytes.trimmingWhitespace(colon + 1..<end)
                if bytes.equalsIgnoringCase("sec-websocket-accept", in: name) {
                    isAccepted = bytes.equals(accept, in: value)
                } else if bytes.equalsIgnoringCase("upgrade", in: name) {
                    isUpgrade = bytes.equalsIgnoringCase("websocket", in: value)
                } else if bytes.equalsIgnoringCase("sec-websocket-extensions", in: name) {
                    let agreed = offersDeflate && deflate == nil ? DeflateResponse(text(bytes, value)) : nil
                    guard let agreed else { return .refused("an extension was agreed to that was not offered") }
                    deflate = agreed
                }
            }
            lineStart = end + 2
            number += 1
        }
        return bytes.count > longest ? .refused("the head of the reply has no end") : .needMore
    }

    private static let declined =
        "the server does not agree to permessage-deflate (a gateway does where the route says `compression on`)"

    private static func lineEnd(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        guard start < bytes.count else { return nil }
        for index in start..<bytes.count - 1 where bytes[index] == 0x0D && bytes[index + 1] == 0x0A { return index }
        return nil
    }

    private static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        String(decoding: bytes.copy(range).map { $0 < 0x20 || $0 > 0x7E ? 0x2E : $0 }, as: UTF8.self)
    }
}

extension Range<Int> {
    fileprivate func prefix(_ count: Int) -> Range<Int> { lowerBound..<Swift.min(upperBound, lowerBound + count) }
}

extension Span<UInt8> {
    fileprivate func starts(with text: String) -> Bool {
        let length = text.utf8.count
        return count >= length && equals(text, in: 0..<length)
    }
}
