/// A connection in the style of Fleck: what happens to it is set as closures of its own.
///
/// Its closures are called in order and never two at once, so they need no protection among themselves. What several
/// sockets share is used by several threads at once. Others keep `connection`, which may be used from everywhere.
public final class Socket {
    /// The connection itself: `Sendable`, usable from every thread, harmless when it has ended.
    public let connection: Connection
    /// The peer, as its opening handshake said.
    public let info: ConnectionInfo

    /// The connection is open: sending works.
    public var onOpen: (() throws -> Void)?
    /// A text message came in.
    public var onMessage: ((String) throws -> Void)?
    /// A binary message came in.
    public var onBinary: (([UInt8]) throws -> Void)?
    /// A ping came in; it has been answered.
    public var onPing: (([UInt8]) throws -> Void)?
    /// A pong came in.
    public var onPong: (([UInt8]) throws -> Void)?
    /// Something went wrong, perhaps in one of the other closures; `onClose` follows.
    public var onError: ((Failure) -> Void)?
    /// The connection has ended: the last call.
    public var onClose: ((CloseEvent) -> Void)?

    init(_ connection: Connection, _ info: ConnectionInfo) {
        self.connection = connection
        self.info = info
    }

    /// Sends a text message.
    @discardableResult
    public func send(_ text: String) -> SendResult { connection.send(text) }

    /// Sends a binary message.
    @discardableResult
    public func send(_ bytes: [UInt8]) -> SendResult { connection.send(bytes) }

    /// Starts the closing handshake after what is queued; `onClose` follows once, later.
    @discardableResult
    public func close(_ code: CloseCode? = .normalClosure, reason: String = "") -> SendResult {
        connection.close(code, reason: reason)
    }
}
