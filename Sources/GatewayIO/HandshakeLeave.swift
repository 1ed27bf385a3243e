/// What lets a layer agree with its peer where that is costly, as a handshake of TLS is.
///
/// The owner of the connection gives it to the layer before the first read. The layer asks before each step, and lets go
/// of it when it is done.
open class HandshakeLeave {
    public init() {}

    /// Whether a step may be made now. Where not, the layer says that it `hasInput`, and is read again later.
    open func takesStep() -> Bool { true }

    /// Both have agreed.
    ///
    /// - Parameter version: as in "TLSv1.3".
    open func succeeded(version: String, isResumed: Bool) {}

    /// It came to nothing.
    ///
    /// - Parameter hasHeard: the peer had said something.
    open func failed(hasHeard: Bool) {}
}
