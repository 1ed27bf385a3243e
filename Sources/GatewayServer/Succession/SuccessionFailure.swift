import GatewayIO

/// Why two programs cannot go on talking.
enum SuccessionFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// A field of a message: what is wrong with it.
    case field(message: String, reason: String)
    /// The frame of a message.
    case frame(String)
    /// The other side ended within a message.
    case cutShort
    case system(Errno)

    var description: String {
        switch self {
        case .field(let message, let reason): "the message \"\(message)\" is damaged: \(reason)"
        case .frame(let reason): "what comes is no message: \(reason)"
        case .cutShort: "the other program ended within a message"
        case .system(let error): "the socket between the programs: \(error)"
        }
    }
}
