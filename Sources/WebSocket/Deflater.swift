public import Bytes
import CZlib

/// Compresses messages to clients (RFC 7692 7.2.1) with zlib. One thread owns it.
///
/// What is written never has a block with BFINAL=1: some clients take that for the end of everything.
@safe
public final class Deflater {
    /// What makes one deflater like another: those that keep no context can be shared by connections.
    public struct Configuration: Hashable, Sendable {
        /// 1 is fast, 9 is small.
        public var level: Int
        /// The window, as a power of two; 9 to 15.
        public var windowBits: Int

        public init(level: Int, windowBits: Int) {
            self.level = level
            self.windowBits = windowBits
        }

        /// Bytes that a deflater of this kind takes: window, hash table, and what is pending.
        public var memory: Int { 1 << (windowBits + 2) + 1 << (memoryLevel + 9) + 6 << 10 }

        /// The hash table is as large as the window; with 15 bits this is zlib's own default.
        fileprivate var memoryLevel: Int { windowBits - 7 }
    }

    /// RFC 7692 7.2.1: what a flush ends with is left out: 00 00 FF FF.
    private static let tail = 4
    /// zlib counts in 32 bits, and so much at once is no message.
    private static let longest = 1 << 30

    /// zlib keeps a pointer to it, so it stays where it is.
    private let stream: UnsafeMutablePointer<z_stream>
    private let keepsContext: Bool

    /// - Parameter keepsContext: a message may refer to the ones before it.
    /// - Returns: nil when there is no memory.
    public init?(_ configuration: Configuration, keepsContext: Bool) {
        self.keepsContext = keepsContext
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let status = unsafe deflateInit2_(
            stream, Int32(configuration.level), Z_DEFLATED, -Int32(configuration.windowBits),
            Int32(configuration.memoryLevel), Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            unsafe stream.deallocate()
            return nil
        }
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Appends a message, compressed, to `output`.
    ///
    /// - Returns: whether it is to be sent: not when it came out larger and nothing that follows refers to it. Otherwise
    ///   nothing has been appended.
    public func deflate(_ message: UnsafeRawBufferPointer, into output: inout ByteBuffer) -> Bool {
        guard message.count <= Self.longest else { return false }
        let start = output.count
        // RFC 7692 7.2.3.6: an empty message is an empty block, which a flush with nothing before it does not make.
        if message.count == 0 {
            return unsafe withUnsafeBytes(of: UInt8(0)) {
                unsafe output.append($0)
                return true
            }
        }
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
            mutating: message.baseAddress?.assumingMemoryBound(to: Bytef.self))
        unsafe stream.pointee.avail_in = uInt(message.count)
        unsafe output.reserve(start + Int(deflateBound(stream, uLong(message.count))) + 16)
        repeat {
            // zlib would repeat the flush if it filled the room to the last byte.
            output.reserve(output.count + 16)
            write(into: &output)
        } while unsafe stream.pointee.avail_out == 0
        output.removeLast(Self.tail)
        if keepsContext { return true }
        unsafe deflateReset(stream)
        if output.count - start < message.count { return true }
        output.removeLast(output.count - start)
        return false
    }

    private func write(into output: inout ByteBuffer) {
        let room = unsafe output.spare
        unsafe stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: Bytef.self)
        unsafe stream.pointee.avail_out = uInt(clamping: room.count)
        let offered = unsafe stream.pointee.avail_out
        let status = unsafe CZlib.deflate(stream, Z_SYNC_FLUSH)
        precondition(status == Z_OK, "zlib refuses to deflate: \(status)")
        output.didFill(Int(unsafe offered - stream.pointee.avail_out))
    }
}
