/// What stands between a connection and its socket and changes the bytes on their way, as TLS does.
///
/// One for each connection, owned by the worker that owns the socket, which is lent for each call. A layer may keep
/// bytes of either direction: `isDrained` and `hasInput` say so. Where the layer is a stream of something else, the
/// socket it is lent is none, and it must not use it.
open class TransportLayer {
    public init() {}

    /// Moves what the peer said into the buffer; `.wouldBlock` also when all that came was the layer's own business.
    open func read(_ socket: borrowing Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        unsafe socket.read(into: buffer)
    }

    /// Takes bytes for the peer; what was taken is gone for the caller, be it with the kernel or kept here.
    open func write(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        unsafe socket.write(bytes)
    }

    /// Nothing that was taken is kept here.
    open var isDrained: Bool { true }

    /// Gives the kernel what is kept here; `.wouldBlock` when it does not take all of it.
    open func flush(_ socket: borrowing Socket) -> IOResult { .moved(0) }

    /// What the peer said is kept here: the poller does not tell of that.
    open var hasInput: Bool { false }

    /// Says behind everything that nothing more will be sent.
    open func finishSending(_ socket: borrowing Socket) { socket.finishSending() }
}
