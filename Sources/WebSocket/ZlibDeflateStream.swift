import CZlib

/// Raw deflate by zlib.
@safe
final class ZlibDeflateStream: DeflateStream {
    /// zlib keeps a pointer to it, so it stays where it is.
    private let stream: UnsafeMutablePointer<z_stream>

    /// - Parameter level: 1 is fast, 9 is small; 0 is 1 with the fixed code of RFC 1951 3.2.6.
    /// - Returns: nil when there is no memory.
    init?(level: Int, windowBits: Int) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let status = unsafe deflateInit2_(
            stream, Int32(max(1, level)), Z_DEFLATED, -Int32(windowBits), Int32(Self.memoryLevel(windowBits)),
            level == 0 ? Z_FIXED : Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        // What was made so far goes with it, in deinit.
        guard status == Z_OK else { return nil }
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// The hash table is as large as the window; with 15 bits this is zlib's own default.
    private static func memoryLevel(_ windowBits: Int) -> Int { windowBits - 7 }

    /// Bytes that one takes: window, hash table, and what is pending.
    static func memory(windowBits: Int) -> Int {
        1 << (windowBits + 2) + 1 << (memoryLevel(windowBits) + 9) + 6 << 10
    }

    func bound(_ count: Int) -> Int { unsafe Int(deflateBound(stream, uLong(count))) + 16 }

    func give(_ input: UnsafeRawBufferPointer) {
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: Bytef.self))
        unsafe stream.pointee.avail_in = uInt(input.count)
    }

    func take(into room: UnsafeMutableRawBufferPointer) -> Int {
        unsafe stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: Bytef.self)
        unsafe stream.pointee.avail_out = uInt(room.count)
        let status = unsafe deflate(stream, Z_SYNC_FLUSH)
        // Z_BUF_ERROR: the flush before had filled the room to its last byte.
        precondition(status == Z_OK || status == Z_BUF_ERROR, "zlib refuses to deflate: \(status)")
        return unsafe room.count - Int(stream.pointee.avail_out)
    }

    func reset() { unsafe deflateReset(stream) }

    var window: [UInt8] {
        var count: uInt = 0
        guard unsafe deflateGetDictionary(stream, nil, &count) == Z_OK, count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: Int(count)) { room, filled in
            // It writes as many as it has said.
            unsafe deflateGetDictionary(stream, room.baseAddress, &count)
            filled = Int(count)
        }
    }

    func resume(_ window: [UInt8]) {
        // What it refuses it does not refer to.
        _ = unsafe window.withUnsafeBufferPointer {
            unsafe deflateSetDictionary(stream, $0.baseAddress, uInt($0.count))
        }
    }
}
