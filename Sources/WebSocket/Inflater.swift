public import Bytes
import CZlib

/// Decompresses messages of clients (RFC 7692 7.2.2) with zlib, piece by piece. One thread owns it.
///
/// What comes out is bounded while it comes out: a bomb costs no more than the longest message.
@safe
public final class Inflater {
    /// Bytes that are reserved at first, and then as many again as there are.
    private static let step = 4096

    /// zlib keeps a pointer to it, so it stays where it is.
    private let stream: UnsafeMutablePointer<z_stream>
    private let keepsContext: Bool
    /// A block with BFINAL=1 has ended: what follows is a stream of its own.
    private var hasEnded = false
    /// Bytes of the message that have come out of its pieces.
    private var length = 0

    /// - Parameters:
    ///   - windowBits: the window of the client, as a power of two; 8 to 15.
    ///   - keepsContext: a message may refer to the ones before it.
    /// - Returns: nil when there is no memory.
    public init?(windowBits: Int, keepsContext: Bool) {
        self.keepsContext = keepsContext
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // Clients that believe they deflate with 8 bits do so with 9: zlib once took the one for the other.
        let status = unsafe inflateInit2_(
            stream, -Int32(max(9, windowBits)), ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        // What was made so far goes with it, in deinit.
        guard status == Z_OK else { return nil }
    }

    /// Goes on where another one stood between two messages.
    ///
    /// - Parameter window: of that one.
    /// - Returns: nil when there is no memory.
    public convenience init?(windowBits: Int, keepsContext: Bool, resuming window: [UInt8]) {
        self.init(windowBits: windowBits, keepsContext: keepsContext)
        guard !window.isEmpty else { return }
        // No more than that is ever looked at, and zlib counts in 32 bits.
        let last = Array(window.suffix(Self.longestWindow))
        let status = unsafe last.withUnsafeBufferPointer {
            unsafe inflateSetDictionary(stream, $0.baseAddress, uInt($0.count))
        }
        guard status == Z_OK else { return nil }
    }

    private static let longestWindow = 1 << 15

    /// What later messages may refer to. Only between two messages: within one there is more to know.
    public var window: [UInt8] {
        var count: uInt = 0
        guard unsafe inflateGetDictionary(stream, nil, &count) == Z_OK, count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: Int(count)) { room, filled in
            // It writes as many as it has said.
            unsafe inflateGetDictionary(stream, room.baseAddress, &count)
            filled = Int(count)
        }
    }

    /// Bytes that one takes: window and tables.
    public static func memory(windowBits: Int) -> Int { 1 << max(9, windowBits) + 8 << 10 }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Appends what a piece of a message comes to.
    ///
    /// - Parameter limit: bytes that the whole message may have.
    /// - Returns: what is wrong with it, and then the inflater is of no use any more.
    public func inflate(
        _ piece: UnsafeRawBufferPointer, isLast: Bool, into output: inout ByteBuffer, limit: Int
    ) -> ProtocolViolation? {
        if let violation = unsafe take(piece, into: &output, limit) { return violation }
        return isLast ? finish(into: &output, limit) : nil
    }

    private func finish(into output: inout ByteBuffer, _ limit: Int) -> ProtocolViolation? {
        // A message that ends with BFINAL=1 should have another byte behind that (RFC 7692 7.2.3.4); not all have.
        if !hasEnded {
            // RFC 7692 7.2.2: what the client has left out is put back.
            let tail: InlineArray<4, UInt8> = [0x00, 0x00, 0xFF, 0xFF]
            let violation = unsafe tail.span.withUnsafeBytes { unsafe take($0, into: &output, limit) }
            if let violation { return violation }
            // 128 is "between two blocks, with no bits left": else a block of the message is not whole.
            guard unsafe hasEnded || stream.pointee.data_type == 128 else { return .brokenCompression }
        }
        if hasEnded || !keepsContext { restart() }
        length = 0
        return nil
    }

    private func restart() {
        unsafe inflateReset(stream)
        hasEnded = false
    }

    private func take(
        _ piece: UnsafeRawBufferPointer, into output: inout ByteBuffer, _ limit: Int
    ) -> ProtocolViolation? {
        precondition(piece.count <= Int32.max, "a piece is shorter than max_frame can be")
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
            mutating: piece.baseAddress?.assumingMemoryBound(to: Bytef.self))
        unsafe stream.pointee.avail_in = uInt(piece.count)
        while true {
            if hasEnded {
                if unsafe stream.pointee.avail_in == 0 { return nil }
                restart()
            }
            // One byte more than the message may have tells that it has.
            let room = limit - length + 1
            output.reserve(output.count + min(room, max(Self.step, length, piece.count)))
            switch write(into: &output, room: room) {
            case Z_OK: break
            case Z_STREAM_END: hasEnded = true
            case Z_BUF_ERROR: return nil
            default: return .brokenCompression
            }
            if length > limit { return .messageTooBig }
            if unsafe stream.pointee.avail_in == 0 && stream.pointee.avail_out > 0 { return nil }
        }
    }

    /// - Returns: what zlib says.
    private func write(into output: inout ByteBuffer, room: Int) -> Int32 {
        let spare = unsafe output.spare
        let offered = uInt(clamping: min(spare.count, room))
        unsafe stream.pointee.next_out = spare.baseAddress?.assumingMemoryBound(to: Bytef.self)
        unsafe stream.pointee.avail_out = offered
        let status = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
        let written = unsafe Int(offered - stream.pointee.avail_out)
        output.didFill(written)
        length += written
        return status
    }
}
