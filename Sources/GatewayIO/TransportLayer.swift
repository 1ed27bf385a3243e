/// What a layer and the peer have agreed on, so that nobody on the way reads along.
public struct TransportSecurity: Sendable, Equatable {
    /// As in "TLSv1.3".
    public var version: String
    public var cipher: String
    /// The host that the peer asked for; empty when it named none.
    public var serverName: String
    /// Whom the peer's certificate was issued for (RFC 4514); empty when it has shown none.
    public var clientName: String

    public init(version: String, cipher: String, serverName: String, clientName: String = "") {
        (self.version, self.cipher, self.serverName) = (version, cipher, serverName)
        self.clientName = clientName
    }
}

/// What stands between a connection and its socket and changes the bytes on their way, as TLS does.
///
/// One for each connection, owned by the worker that owns the socket, which is lent for each call. A layer may keep
/// bytes of either direction: `isDrained` and `hasInput` say so. Where the layer is a stream of something else, the
/// socket it is lent is none, and it must not use it.
open class TransportLayer {
    /// What it asks before each step of agreeing with the peer; nil where it need not ask, or is done.
    public final var leave: HandshakeLeave?

    public init() {}

    /// Moves what the peer said into the buffer; `.wouldBlock` also when all that came was the layer's own business.
    open func read(_ socket: borrowing Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        unsafe socket.read(into: buffer)
    }

    /// Takes bytes for the peer; what was taken is gone for the caller, be it with the kernel or kept here.
    open func write(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        unsafe socket.write(bytes)
    }

    /// The same with several runs, the first one first, which are one thing to send.
    ///
    /// - Returns: `.moved` with the bytes taken of all of them together.
    open func write(_ socket: borrowing Socket, runs: UnsafeBufferPointer<UnsafeRawBufferPointer>) -> IOResult {
        var moved = 0
        for index in 0..<runs.count {
            let run = unsafe runs[index]
            switch unsafe write(socket, run) {
            case .moved(let count):
                moved += count
                if count < run.count { return .moved(moved) }
            case .wouldBlock: return moved > 0 ? .moved(moved) : .wouldBlock
            case .endOfStream: return .endOfStream
            case .failed(let error): return .failed(error)
            }
        }
        return .moved(moved)
    }

    /// Nothing that was taken is kept here.
    open var isDrained: Bool { true }

    /// Gives the kernel what is kept here; `.wouldBlock` when it does not take all of it.
    open func flush(_ socket: borrowing Socket) -> IOResult { .moved(0) }

    /// What the peer said is kept here: the poller does not tell of that.
    open var hasInput: Bool { false }

    /// Bytes of memory for what is kept here, of either direction.
    open var bytesKept: Int { 0 }

    /// What has to be agreed on with the peer is agreed on: bytes can be written.
    open var isOpen: Bool { true }

    /// What was agreed on, where the layer keeps a secret; nil before that.
    open var security: TransportSecurity? { nil }

    /// Why it does not work, in words, where the layer knows more of it than the kernel.
    open var failure: String? { nil }

    /// The peer speaks HTTP without the layer; from here on bytes go as they are, and the first ones are lost.
    open var isBypassed: Bool { false }

    /// Its part is done: from here on the connection can do without it, with its successor if it has one.
    open var isOver: Bool { false }
    open var successor: TransportLayer? { nil }
    /// What has to come in front of everything has not come, or not as it should.
    open var lacksHeader: Bool { false }

    /// Who is at the far end, where that is not whose socket it is.
    open var peerAddress: SocketAddress? { nil }
    /// The address at our end, where the layer has no socket under it.
    open var localAddress: SocketAddress? { nil }

    /// Says behind everything that nothing more will be sent. Where `isDrained` is false behind that, the kernel did not
    /// take it: it is asked for again when all that is kept has been flushed.
    open func finishSending(_ socket: borrowing Socket) { socket.finishSending() }

    /// Closing is to be heard as a reset. Where a socket is under it, that says so.
    open func resetOnClose() {}

    /// The connection lets go of it. A socket under it is closed by that alone.
    open func close() {}
}
