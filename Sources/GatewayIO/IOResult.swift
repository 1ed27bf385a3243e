/// What reading or writing came to; that the kernel had nothing or took nothing is no error.
public enum IOResult: Equatable, Sendable {
    /// So many bytes were moved (at least one, unless none were asked for).
    case moved(Int)
    /// Nothing could be moved now; the poller says when.
    case wouldBlock
    /// The peer has finished sending.
    case endOfStream
    /// The connection is broken.
    case failed(Errno)
}
