/// Why `failed` was called; the connection is being closed.
public enum Failure: Sendable, CustomStringConvertible {
    /// A callback of this handler threw; the peer gets 1011.
    case thrown(any Error)
    /// The peer broke the protocol, a limit was crossed, or the transport broke; in the gateway's words.
    case gateway(String)

    public var description: String {
        switch self {
        case .thrown(let error): "\(error)"
        case .gateway(let text): text
        }
    }
}
