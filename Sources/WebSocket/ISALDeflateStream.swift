#if canImport(CIsal)
import CIsal

/// Raw deflate by isa-l, which takes a half to a fifth of zlib's time for the same ratio.
///
/// It is used for output alone: what strangers send is inflated by zlib, whose input has been fuzzed for longer.
@safe
final class ISALDeflateStream: DeflateStream {
    /// Its own levels.
    static let levels = 0...3

    /// Thousands of tokens that a block may have: fewer take less memory, more need fewer tables.
    enum Blocks: Int {
        case small = 16
        case large = 64
    }

    /// isa-l keeps a pointer to it, so it stays where it is.
    private let stream: UnsafeMutablePointer<isal_zstream>
    private let buffer: UnsafeMutableRawPointer?
    /// Bytes of a stream after which its window is forgotten: it counts them in 32 bits.
    private static let longest = 1 << 30

    init(level: Int, windowBits: Int, _ blocks: Blocks) {
        unsafe stream = .allocate(capacity: 1)
        unsafe isal_deflate_init(stream)
        let size = Self.bufferSize(level: level, blocks)
        unsafe buffer = size > 0 ? .allocate(byteCount: size, alignment: 64) : nil
        unsafe stream.pointee.level = UInt32(level)
        unsafe stream.pointee.level_buf = buffer?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.level_buf_size = UInt32(size)
        unsafe stream.pointee.gzip_flag = UInt16(IGZIP_DEFLATE)
        unsafe stream.pointee.hist_bits = UInt16(windowBits)
        unsafe stream.pointee.flush = UInt16(SYNC_FLUSH)
        // Its default code comes as a table of a hundred bytes in front of each message.
        if level == 0 { unsafe isal_deflate_set_hufftables(stream, nil, IGZIP_HUFFTABLE_STATIC) }
    }

    deinit {
        unsafe stream.deallocate()
        unsafe buffer?.deallocate()
    }

    /// Hash tables and tokens; ISAL_DEF_LVL*_REQ and four bytes a token of its header.
    private static func bufferSize(level: Int, _ blocks: Blocks) -> Int {
        let tables = [0, 20, 68, 84][level]
        return level == 0 ? 0 : (tables + 4 * blocks.rawValue) << 10
    }

    /// Bytes that one takes.
    static func memory(level: Int, _ blocks: Blocks) -> Int {
        unsafe MemoryLayout<isal_zstream>.size + bufferSize(level: level, blocks)
    }

    func bound(_ count: Int) -> Int { count + count >> 3 + 512 }

    func give(_ input: UnsafeRawBufferPointer) {
        if unsafe stream.pointee.total_in >= Self.longest { reset() }
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.pointee.avail_in = UInt32(input.count)
    }

    func take(into room: UnsafeMutableRawBufferPointer) -> Int {
        unsafe stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = UInt32(room.count)
        let status = unsafe isal_deflate(stream)
        precondition(status == COMP_OK, "isa-l refuses to deflate: \(status)")
        return unsafe room.count - Int(stream.pointee.avail_out)
    }

    func reset() { unsafe isal_deflate_reset(stream) }

    /// isa-l keeps it to itself: whoever goes on refers to nothing that went before.
    var window: [UInt8] { [] }

    func resume(_ window: [UInt8]) {
        var window = window
        // What it refuses it does not refer to. It keeps a copy.
        _ = unsafe window.withUnsafeMutableBufferPointer {
            unsafe isal_deflate_set_dict(stream, $0.baseAddress, UInt32($0.count))
        }
    }
}
#endif
