public import Bytes

/// Raw deflate by a library: input is given, output is taken as far as there is room, and each run of input ends in a
/// flush. One thread owns it.
protocol DeflateStream: AnyObject {
    func give(_ input: UnsafeRawBufferPointer)
    /// - Returns: how many bytes have come out; as many as there is room for when more may come.
    func take(into room: UnsafeMutableRawBufferPointer) -> Int
    /// Bytes that so many most likely fit into, compressed, with the flush.
    func bound(_ count: Int) -> Int
    /// Forgets all that was given and is still to be taken.
    func reset()
    /// What it may refer to; empty where the library does not tell.
    var window: [UInt8] { get }
    /// Before anything is given: what the far end has already.
    func resume(_ window: [UInt8])
}

/// Compresses messages to clients (RFC 7692 7.2.1), with isa-l where that is there and better, else with zlib. One thread
/// owns it.
///
/// What is written never has a block with BFINAL=1: some clients take that for the end of everything.
@safe
public final class Deflater {
    /// What makes one deflater like another: those that keep no context can be shared by connections.
    public struct Configuration: Hashable, Sendable {
        /// 0 is fastest, with the fixed code; 1 is fast, 9 is small.
        public var level: Int
        /// The window, as a power of two; 9 to 15.
        public var windowBits: Int

        public init(level: Int, windowBits: Int) {
            self.level = level
            self.windowBits = windowBits
        }

        /// Bytes that a deflater of this kind takes.
        public func memory(keepsContext: Bool) -> Int {
            #if canImport(CIsal)
            if let blocks = blocks(keepsContext: keepsContext) {
                return ISALDeflateStream.memory(level: level, blocks)
            }
            #endif
            return ZlibDeflateStream.memory(windowBits: windowBits)
        }

        fileprivate func makeStream(keepsContext: Bool) -> (any DeflateStream)? {
            #if canImport(CIsal)
            if let blocks = blocks(keepsContext: keepsContext) {
                return ISALDeflateStream(level: level, windowBits: windowBits, blocks)
            }
            #endif
            return ZlibDeflateStream(level: level, windowBits: windowBits)
        }

        #if canImport(CIsal)
        /// nil where zlib is better: for small output, and for small windows that are kept, since isa-l takes memory for
        /// the largest.
        private func blocks(keepsContext: Bool) -> ISALDeflateStream.Blocks? {
            guard ISALDeflateStream.levels.contains(level) else { return nil }
            if !keepsContext { return .large }
            return windowBits == 15 ? .small : nil
        }
        #endif
    }

    /// RFC 7692 7.2.1: what a flush ends with is left out: 00 00 FF FF.
    private static let tail = 4
    /// Both libraries count in 32 bits, and so much at once is no message.
    private static let longest = 1 << 30

    public let configuration: Configuration
    private let stream: any DeflateStream
    private let keepsContext: Bool

    /// - Parameter keepsContext: a message may refer to the ones before it.
    /// - Returns: nil when there is no memory.
    public init?(_ configuration: Configuration, keepsContext: Bool) {
        guard let stream = configuration.makeStream(keepsContext: keepsContext) else { return nil }
        self.configuration = configuration
        self.keepsContext = keepsContext
        self.stream = stream
    }

    /// Goes on where another one stood behind a message, or behind a piece of one.
    ///
    /// - Parameter window: of that one. Where it is empty nothing that went before is referred to, which any client can
    ///   read.
    /// - Returns: nil when there is no memory.
    public convenience init?(_ configuration: Configuration, keepsContext: Bool, resuming window: [UInt8]) {
        self.init(configuration, keepsContext: keepsContext)
        if !window.isEmpty { stream.resume(Array(window.suffix(1 << configuration.windowBits))) }
    }

    /// What later messages may refer to, as far as the library tells.
    public var window: [UInt8] { stream.window }

    /// Appends a message, compressed, to `output`.
    ///
    /// - Returns: whether it is to be sent: not when it came out larger and nothing that follows refers to it. Otherwise
    ///   nothing has been appended.
    public func deflate(_ message: UnsafeRawBufferPointer, into output: inout ByteBuffer) -> Bool {
        guard message.count <= Self.longest else { return false }
        if message.count == 0 {
            appendEmptyBlock(to: &output)
            return true
        }
        let start = output.count
        // What is not smaller than the message is not wanted, so that there has to be no room for it.
        let room = keepsContext ? stream.bound(message.count) : message.count + Self.tail
        let isWhole = unsafe write(message, into: &output, room: room, grows: keepsContext)
        if !keepsContext { stream.reset() }
        output.removeLast(isWhole ? Self.tail : output.count - start)
        return isWhole
    }

    /// Appends a piece of a message, compressed, to `output`: all of it, so that the client can go on with it.
    ///
    /// No other message may come before the last piece.
    public func deflate(piece: UnsafeRawBufferPointer, isLast: Bool, into output: inout ByteBuffer) {
        var start = 0
        while start < piece.count {
            let end = min(piece.count, start + Self.longest)
            let run = unsafe UnsafeRawBufferPointer(rebasing: piece[start..<end])
            _ = unsafe write(run, into: &output, room: stream.bound(run.count), grows: true)
            start = end
        }
        guard isLast else { return }
        if piece.count > 0 { output.removeLast(Self.tail) } else { appendEmptyBlock(to: &output) }
        if !keepsContext { stream.reset() }
    }

    /// RFC 7692 7.2.3.6: a message needs a block, and a flush with nothing before it does not make one.
    private func appendEmptyBlock(to output: inout ByteBuffer) {
        unsafe withUnsafeBytes(of: UInt8(0)) { unsafe output.append($0) }
    }

    /// Appends what a run of input comes to, with the tail.
    ///
    /// - Parameters:
    ///   - room: bytes that may be appended at once.
    ///   - grows: more are appended as well.
    /// - Returns: whether that is all.
    private func write(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, room: Int, grows: Bool
    ) -> Bool {
        unsafe stream.give(input)
        repeat {
            output.reserve(output.count + room)
            let written = unsafe stream.take(into: UnsafeMutableRawBufferPointer(rebasing: output.spare[..<room]))
            output.didFill(written)
            if written < room { return true }
        } while grows
        return false
    }
}
