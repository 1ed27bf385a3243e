/// Why saved state was not taken over; the generation that saved it goes on with what it has.
public enum StateError: Error, Hashable, CustomStringConvertible {
    /// The bytes end before the value does.
    case truncated
    /// The bytes are no such value.
    case malformed(String)
    /// So many bytes follow the last value.
    case leftOver(Int)
    /// Saved by a module whose version this one does not read.
    case unreadableVersion(UInt32)
    /// Saved by a module whose state has another name.
    case otherFormat
    /// A connection was read outside a gateway.
    case noGateway

    public var description: String {
        switch self {
        case .truncated: "the saved state ends too early"
        case .malformed(let what): "the saved state holds no valid \(what) where one should be"
        case .leftOver(let count): "the saved state has \(count) bytes too many"
        case .unreadableVersion(let version): "version \(version) of the saved state is none that this module reads"
        case .otherFormat: "the saved state is that of another handler"
        case .noGateway: "a saved connection has a meaning only within the gateway"
        }
    }
}
