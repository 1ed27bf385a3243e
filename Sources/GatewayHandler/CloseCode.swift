/// Why a connection is closed: a close code of RFC 6455 7.4, by the names of its registry.
///
/// 3000-3999 are for registered libraries, 4000-4999 for private use: `CloseCode(4000)`.
@frozen
public struct CloseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// A code by its number.
    @inlinable
    public init(_ number: UInt16) {
        self.init(rawValue: number)
    }

    /// What the connection was for has been done.
    public static let normalClosure = CloseCode(1000)
    /// The server goes down, or the browser left the page.
    public static let goingAway = CloseCode(1001)
    /// The peer broke RFC 6455.
    public static let protocolError = CloseCode(1002)
    /// A kind of message that cannot be accepted, such as binary where only text has a meaning.
    public static let unsupportedData = CloseCode(1003)
    /// The Close frame carried no code. Never sent.
    public static let noStatusReceived = CloseCode(1005)
    /// There was no Close frame. Never sent.
    public static let abnormalClosure = CloseCode(1006)
    /// Text that is not UTF-8, or data that does not fit its message.
    public static let invalidPayloadData = CloseCode(1007)
    /// A rule of the application was broken; the code for "no" when no other fits.
    public static let policyViolation = CloseCode(1008)
    /// A message larger than the receiver takes.
    public static let messageTooBig = CloseCode(1009)
    /// The client wanted an extension that the server did not agree to.
    public static let mandatoryExtension = CloseCode(1010)
    /// The server met with something unexpected, such as an error its handler threw.
    public static let internalError = CloseCode(1011)
    /// The service restarts; the client may come back after a moment.
    public static let serviceRestart = CloseCode(1012)
    /// The server is overloaded, or the client reads too slowly.
    public static let tryAgainLater = CloseCode(1013)
    /// A server behind this one gave a wrong answer.
    public static let badGateway = CloseCode(1014)
    /// TLS could not be set up. Never sent.
    public static let tlsHandshake = CloseCode(1015)

    /// True when a Close frame may carry this code.
    public var isAllowedOnTheWire: Bool {
        switch rawValue {
        // RFC 6455 7.4.1: 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame"; 1004 is
        // reserved. 1012-1014 were registered later.
        case 1000...1003, 1007...1014: true
        // RFC 6455 7.4.2: 3000-3999 registered, 4000-4999 private use.
        case 3000...4999: true
        default: false
        }
    }

    public var description: String { "\(rawValue)" }
}
