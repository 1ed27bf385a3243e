/// A message that came in, or a ping; a copy of its own that may be kept.
public struct Frame: Sendable, Hashable {
    /// What it is.
    @frozen
    public enum Kind: Sendable {
        case text, binary
        /// Only for a handler whose manifest says `manualPong`: it is answered with `Session.pong`.
        case ping
    }

    public let kind: Kind
    /// The payload of every kind; that of a text is valid UTF-8.
    public let bytes: [UInt8]

    init(_ kind: Kind, _ bytes: [UInt8]) {
        self.kind = kind
        self.bytes = bytes
    }

    /// The payload of a text message, made into a string when it is asked for; `nil` for the others.
    public var text: String? { kind == .text ? String(decoding: bytes, as: UTF8.self) : nil }
}

/// The connection ended without a closing handshake, or the gateway had to close it.
public struct ConnectionLost: Error, CustomStringConvertible {
    /// How it ended.
    public let event: CloseEvent

    public var description: String { "the connection was lost: \(event.code) \(event.reason)" }
}

/// A session was used in a way it cannot be used.
public enum SessionError: Error {
    /// Two tasks read from one session at once.
    case alreadyReading
    /// No frame came in within the time that was given.
    case timedOut
    /// More sleep, or wait with a limit, at once than the gateway has timers for.
    case tooManyTimers
}
