import Bytes
import GatewayIO
import Glibc
import WebSocket

/// What a run needs for messages that come compressed (RFC 7692 7.2), and how much that saved.
///
/// Where servers keep no context one inflater serves all connections; else each has its own.
struct Compression: ~Copyable {
    /// Bytes of payloads, as they are and as they were on the wire.
    struct Amount {
        var plain = 0
        var wire = 0
    }

    /// What the first connection agreed on.
    var agreed: DeflateResponse?
    var sent = Amount()
    var received = Amount()
    /// nil without `--deflate`.
    let deflater: Deflater?
    private let inflater: Inflater
    /// The message that was inflated last.
    private(set) var message = ByteBuffer()

    /// More than any message of a run has.
    private static let longest = 64 << 20

    init(isWanted: Bool) throws(Errno) {
        let inflater = try Self.inflater(keepsContext: false)
        deflater = isWanted ? try Self.makeDeflater() : nil
        self.inflater = inflater
    }

    static func inflater(keepsContext: Bool) throws(Errno) -> Inflater {
        guard let inflater = Inflater(windowBits: 15, keepsContext: keepsContext) else { throw Errno(ENOMEM) }
        return inflater
    }

    /// The fastest there is, for messages that do not refer to one another.
    private static func makeDeflater() throws(Errno) -> Deflater {
        let configuration = Deflater.Configuration(level: 1, windowBits: 15)
        guard let deflater = Deflater(configuration, keepsContext: false) else { throw Errno(ENOMEM) }
        return deflater
    }

    /// Makes a whole message of its payload; `message` has it then.
    ///
    /// - Parameter own: the inflater of a connection whose server keeps context.
    /// - Returns: whether it can be inflated.
    mutating func inflate(_ payload: UnsafeRawBufferPointer, with own: Inflater?) -> Bool {
        message.removeAll()
        let inflater = own ?? self.inflater
        return unsafe inflater.inflate(payload, isLast: true, into: &message, limit: Self.longest) == nil
    }
}
