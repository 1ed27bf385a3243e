/// What a close code says, in words (RFC 6455 7.4.1, and the registry of IANA).
package enum CloseMeaning {
    /// - Parameter code: nil for a Close without one.
    package static func text(_ code: UInt16?) -> String {
        switch code {
        case nil: "without a code"
        case 1000: "normal: what it was for is done"
        case 1001: "going away: the server ends, or the page was left"
        case 1002: "protocol error: somebody broke a rule of RFC 6455"
        case 1003: "unsupported data: a text was wanted and a binary message came, or the other way round"
        case 1007: "invalid payload: a text that is not UTF-8, or something else that is not what it says"
        case 1008: "policy violation: the server does not allow what was asked"
        case 1009: "message too big: above what the server takes (max_message)"
        case 1010: "an extension is missing that the client wanted"
        case 1011: "internal error: the server, or its handler, failed"
        case 1012: "service restart: come back, at once or a little later"
        case 1013: "try again later: the server is overloaded, or the client does not read fast enough"
        case 1014: "bad gateway: a server behind the server did not answer"
        case 3000: "unauthorized"
        case 3003: "forbidden"
        case 3008: "timeout"
        case .some(3000..<4000): "of a library or framework, which says what it means"
        case .some(4000..<5000): "of the application, which says what it means"
        default: "a code that no server may send"
        }
    }

    /// Whether the conversation ended as it should.
    package static func isFine(_ code: UInt16?) -> Bool { code == nil || code == 1000 || code == 1001 }
}
