/// Thrown by a callback, closes the connection with a code and a reason of its own instead of 1011.
///
///     guard message.kind == .text else { throw ClosingError(.unsupportedData, reason: "text only") }
public struct ClosingError: Error, Hashable, CustomStringConvertible {
    public let code: CloseCode
    /// What the peer is told; cut to the 123 bytes a Close frame has room for.
    public let reason: String

    public init(_ code: CloseCode, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    public var description: String { "\(code) \(reason)" }
}

extension Connection {
    /// What becomes of an error that `callback` threw: a line in the log, and the end of this connection alone.
    func end(over error: any Error, from callback: StaticString) {
        if let closing = error as? ClosingError, close(closing.code, reason: closing.reason) != .invalid {
            return log(.debug, "\(callback) closed it: \(closing)")
        }
        log(.error, "\(callback) threw: \(error)")
        // RFC 6455 7.4.1: 1011, "it encountered an unexpected condition". The peer learns nothing of the reason.
        close(.internalError)
    }
}
