import HTTP
import Synchronization
import WebSocket

/// `compression` of a route: what it agrees to, and how much its connections keep.
final class RouteCompression: Sendable {
    let level: Int
    /// A message of so many bytes is compressed, one below is not.
    let threshold: Int
    private let policy: DeflateParameters.Policy
    private let memory: Int
    /// What the connections have been promised.
    private let promised = Atomic<Int>(0)

    init(keepsContext: Bool, level: Int, threshold: Int, windowBits: Int, memory: Int) {
        self.level = level
        self.threshold = threshold
        self.memory = memory
        policy = .init(keepsContext: keepsContext, windowBits: windowBits)
    }

    /// Answers the extensions that a client offers; nil when none of them can be agreed on.
    ///
    /// Where the memory of the route is used up, no connection gets windows of its own.
    ///
    /// - Parameter counters: those of the worker that has the connection.
    func agree(
        to extensions: [Range<Int>], of head: RequestHead, _ counters: CompressionCounters
    ) -> ConnectionCompression? {
        guard let parameters = DeflateParameters.choose(among: extensions, of: head, policy) else { return nil }
        let bytes = parameters.contextBytes(level: level)
        if bytes == 0 || promise(bytes) { return ConnectionCompression(parameters, self, counters, promised: bytes) }
        let frugal = DeflateParameters.Policy(keepsContext: false, windowBits: policy.windowBits)
        return DeflateParameters.choose(among: extensions, of: head, frugal).map {
            ConnectionCompression($0, self, counters, promised: 0)
        }
    }

    /// What was agreed on elsewhere holds on, whether or not there is memory for it.
    func resume(_ parameters: DeflateParameters, _ counters: CompressionCounters) -> ConnectionCompression {
        let bytes = parameters.contextBytes(level: level)
        promised.add(bytes, ordering: .relaxed)
        return ConnectionCompression(parameters, self, counters, promised: bytes)
    }

    /// For connections that agreed on it before the route said no: what they send is understood, and nothing is
    /// compressed for them.
    static let off = RouteCompression(keepsContext: true, level: 1, threshold: .max, windowBits: 15, memory: 0)

    /// - Returns: false, and nothing was promised, when the route has not so much left.
    fileprivate func promise(_ bytes: Int) -> Bool {
        if promised.add(bytes, ordering: .relaxed).newValue <= memory { return true }
        release(bytes)
        return false
    }

    fileprivate func release(_ bytes: Int) { promised.subtract(bytes, ordering: .relaxed) }
}

extension DeflateParameters {
    fileprivate func deflater(level: Int) -> Deflater.Configuration {
        .init(level: level, windowBits: serverWindowBits)
    }

    /// What a connection keeps between its messages.
    fileprivate func contextBytes(level: Int) -> Int {
        (serverNoContextTakeover ? 0 : deflater(level: level).memory(keepsContext: true))
            + (clientNoContextTakeover ? 0 : Inflater.memory(windowBits: clientWindowBits))
    }
}

/// permessage-deflate of one connection (RFC 7692): what was agreed on, and the windows that are kept between messages.
///
/// It belongs to the connection whoever handles that, so a reload changes nothing about it.
final class ConnectionCompression {
    let parameters: DeflateParameters
    /// What its deflater is like.
    let deflaterConfiguration: Deflater.Configuration
    let threshold: Int
    /// Its own where the client's window is kept; otherwise one that it has for the length of a message.
    var inflater: Inflater?
    /// Where the server's window is kept; made when the first message is compressed.
    var deflater: Deflater?
    /// That of a compressed message in fragments which is under way to the client.
    var outgoing: Deflater?
    let counters: CompressionCounters
    private let route: RouteCompression
    private var promised: Int

    fileprivate init(
        _ parameters: DeflateParameters, _ route: RouteCompression, _ counters: CompressionCounters, promised: Int
    ) {
        self.parameters = parameters
        self.route = route
        self.counters = counters
        self.promised = promised
        threshold = route.threshold
        deflaterConfiguration = parameters.deflater(level: route.level)
    }

    /// What one takes that is had for the length of a message.
    private var borrowedBytes: Int { deflaterConfiguration.memory(keepsContext: false) }

    /// A connection that keeps no window has a deflater for itself while it is sent a message in fragments.
    ///
    /// - Returns: whether the route has memory for it.
    func borrowDeflater() -> Bool {
        guard route.promise(borrowedBytes) else { return false }
        promised += borrowedBytes
        return true
    }

    func returnDeflater() {
        promised -= borrowedBytes
        route.release(borrowedBytes)
    }

    /// A message that is sent cannot be read without those before it (RFC 7692 7.2.3.2).
    var keepsSentContext: Bool { !parameters.serverNoContextTakeover }

    /// Nor one that comes.
    var keepsReceivedContext: Bool { !parameters.clientNoContextTakeover }

    /// What the next message that comes may refer to. Only between two messages.
    var receivedWindow: [UInt8] { keepsReceivedContext ? inflater?.window ?? [] : [] }

    /// Bytes that it keeps now: windows, and what a message takes that has come or gone by half.
    var contextBytes: Int {
        let borrowsInflater = parameters.clientNoContextTakeover && inflater != nil
        return promised + (borrowsInflater ? Inflater.memory(windowBits: parameters.clientWindowBits) : 0)
    }

    deinit { if promised > 0 { route.release(promised) } }
}

extension Connection {
    /// permessage-deflate has been agreed on.
    mutating func begin(_ compression: ConnectionCompression) {
        ownRareState.compression = compression
        reader.allowCompression()
        flags.insert(.inspected)
    }
}
