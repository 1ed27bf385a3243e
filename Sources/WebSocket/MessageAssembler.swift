public import Bytes

/// Makes messages of the pieces that a `FrameReader` passes on: joins them, and holds text to UTF-8 (RFC 6455 5.4,
/// 8.1).
///
/// A value without I/O, one for each connection. A message that comes in one piece is never copied; one without memory
/// costs nothing while the connection is idle.
///
///     piece ─ join ─┬─ whole       the piece is the message
///                   ├─ assembled   the message is to be taken with `takeMessage`
///                   ├─ incomplete  it is kept
///                   └─ invalidUTF8 fail the connection
///
/// Handlers that want messages piece by piece get them with `pass`, text cut between characters.
public struct MessageAssembler: ~Copyable {
    /// What a piece brings.
    public enum Outcome {
        case whole
        case assembled
        case incomplete
        case invalidUTF8
    }

    /// What a handler gets of a piece.
    public enum Passage: ~Copyable {
        /// The piece as it is.
        case asItIs
        /// The first so many bytes of a buffer: the piece behind what was held back of the one before.
        case joined(ByteBuffer, count: Int)
        case invalidUTF8
    }

    /// From so many announced bytes on a message takes a buffer whose memory is warm.
    public static let largeSize = 64 * 1024

    /// The message so far; of one that is passed on piece by piece, the beginning of a character that is not whole.
    private var buffer = ByteBuffer()
    private var utf8 = UTF8Checker()

    public init() {}

    /// Bytes that are kept.
    public var count: Int { buffer.count }

    /// Bytes of memory for that.
    public var capacity: Int { buffer.capacity }

    // MARK: Joining

    /// Takes the next piece of a message that is to be whole.
    ///
    /// - Parameters:
    ///   - remaining: bytes of the piece's frame that are still to come.
    ///   - largeBuffers: where large buffers come from.
    @inline(__always)
    public mutating func join(
        _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer, remaining: Int, checksText: Bool,
        largeBuffers: inout LargeBufferCache
    ) -> Outcome {
        if piece.isFirst, piece.isLast {
            let isValid = unsafe piece.kind != .text || !checksText || UTF8Checker.isValid(payload)
            return isValid ? .whole : .invalidUTF8
        }
        return unsafe keep(piece, payload, remaining: remaining, checksText: checksText, &largeBuffers)
    }

    @inline(never)
    private mutating func keep(
        _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer, remaining: Int, checksText: Bool,
        _ largeBuffers: inout LargeBufferCache
    ) -> Outcome {
        if piece.isFirst { utf8 = UTF8Checker() }
        if unsafe !isText(piece, payload, checksText) { return .invalidUTF8 }
        if piece.isFirst, remaining > 0 { reserve(announced: remaining + payload.count, &largeBuffers) }
        unsafe buffer.append(payload)
        return piece.isLast ? .assembled : .incomplete
    }

    /// What a frame header announces is believed up to a point; the rest is reserved as it comes.
    private mutating func reserve(announced: Int, _ largeBuffers: inout LargeBufferCache) {
        if announced >= Self.largeSize, buffer.capacity == 0 { buffer = largeBuffers.take() }
        buffer.reserve(min(announced, Self.largeSize))
    }

    /// RFC 6455 8.1: text that cannot become UTF-8 any more fails at the piece that shows it.
    private mutating func isText(
        _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer, _ checksText: Bool
    ) -> Bool {
        guard piece.kind == .text, checksText else { return true }
        return unsafe utf8.accept(payload) && (!piece.isLast || utf8.isComplete)
    }

    /// The message that has been assembled; its buffer belongs to the caller, which may give it to the large buffers.
    public mutating func takeMessage() -> ByteBuffer {
        var message = ByteBuffer()
        swap(&message, &buffer)
        return message
    }

    // MARK: Receiving straight into the message

    /// Room behind what is kept, for bytes of the frame under way; used up with `fill`.
    ///
    /// It doubles as bytes arrive: what a header claims is never reserved before half of it has come.
    public mutating func room(for remaining: Int) -> UnsafeMutableRawBufferPointer {
        buffer.reserve(buffer.count + min(remaining, max(buffer.count, Self.largeSize)))
        let spare = unsafe buffer.spare
        return unsafe UnsafeMutableRawBufferPointer(rebasing: spare[..<min(spare.count, remaining)])
    }

    /// Takes a piece that lies in the room already, unmasked.
    public mutating func fill(
        _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer, checksText: Bool
    ) -> Outcome {
        if unsafe !isText(piece, payload, checksText) { return .invalidUTF8 }
        buffer.didFill(payload.count)
        return piece.isLast ? .assembled : .incomplete
    }

    // MARK: Piece by piece

    /// Takes the next piece of a message that is passed on as it comes. Text is cut between characters: up to three
    /// bytes wait for the piece that completes them.
    public mutating func pass(
        _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer, checksText: Bool
    ) -> Passage {
        if piece.isFirst { utf8 = UTF8Checker() }
        if unsafe !isText(piece, payload, checksText) { return .invalidUTF8 }
        let tail = piece.kind == .text ? utf8.heldBytes : 0
        if buffer.isEmpty, tail == 0 { return .asItIs }
        unsafe buffer.append(payload)
        let joined = takeMessage()
        let count = max(0, joined.count - tail)
        unsafe buffer.append(UnsafeRawBufferPointer(rebasing: joined.bytes[count...]))
        return .joined(joined, count: count)
    }

    // MARK: Going on elsewhere

    /// What is kept; good until the next piece comes.
    public var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(buffer.bytes) }

    /// What is kept, so that another assembler can go on from there.
    public var kept: [UInt8] { unsafe Array(buffer.bytes) }

    /// Goes on where another assembler stood.
    ///
    /// - Parameters:
    ///   - isText: they are held to UTF-8, whether or not the other assembler did.
    /// - Returns: nil where they cannot become UTF-8.
    public init?(resuming kept: [UInt8], isText: Bool) {
        let isValid = unsafe kept.withUnsafeBytes { bytes in
            unsafe buffer.append(bytes)
            return unsafe !isText || utf8.accept(bytes)
        }
        guard isValid else { return nil }
    }

    /// Forgets what is kept, and its memory.
    public mutating func clear() { buffer.free() }
}
