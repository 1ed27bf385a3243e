import Bytes

/// A run of bytes in an arena of the ledger that tells whether it is whole and whose it is.
///
///     [ sum ][ length ][ bytes ]
enum LedgerBlob {
    static let header = 16

    /// What one takes with so many bytes; the next one begins at a multiple of eight.
    static func size(_ length: Int) -> Int { (header + length + 7) & ~7 }

    /// Closes a blob whose bytes have been written.
    static func seal(_ memory: borrowing SharedMemory, at offset: Int, length: Int, of id: UInt64) {
        let start = offset + header
        memory.store(UInt64(length), at: offset + 8)
        memory.store(unsafe sum(memory.bytes(start..<start + length), of: id), at: offset)
    }

    /// The bytes of the blob in front of a run; nil where there is no whole one.
    static func first(in run: UnsafeRawBufferPointer, of id: UInt64) -> UnsafeRawBufferPointer? {
        guard run.count >= header else { return nil }
        let (sum, length) = unsafe (
            run.loadUnaligned(as: UInt64.self), run.loadUnaligned(fromByteOffset: 8, as: Int.self)
        )
        guard length >= 0, length <= run.count - header, size(length) <= run.count else { return nil }
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: run[header..<header + length])
        return unsafe self.sum(bytes, of: id) == sum ? bytes : nil
    }

    /// Over the bytes and what they are about.
    static func sum(_ bytes: UnsafeRawBufferPointer, of id: UInt64) -> UInt64 {
        let factor: UInt64 = 0x9E37_79B9_7F4A_7C15
        var lanes: (UInt64, UInt64, UInt64, UInt64) = (id, id ^ 1, id ^ 2, UInt64(bytes.count))
        var position = 0
        while position &+ 32 <= bytes.count {
            lanes.0 = unsafe (lanes.0 ^ bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)) &* factor
            lanes.1 = unsafe (lanes.1 ^ bytes.loadUnaligned(fromByteOffset: position &+ 8, as: UInt64.self)) &* factor
            lanes.2 = unsafe (lanes.2 ^ bytes.loadUnaligned(fromByteOffset: position &+ 16, as: UInt64.self)) &* factor
            lanes.3 = unsafe (lanes.3 ^ bytes.loadUnaligned(fromByteOffset: position &+ 24, as: UInt64.self)) &* factor
            lanes = (lanes.0 ^ lanes.0 >> 29, lanes.1 ^ lanes.1 >> 29, lanes.2 ^ lanes.2 >> 29, lanes.3 ^ lanes.3 >> 29)
            position &+= 32
        }
        var sum = lanes.0
        for lane in [lanes.1, lanes.2, lanes.3] { sum = mix(sum, lane, factor) }
        while position < bytes.count {
            sum = unsafe mix(sum, UInt64(bytes[position]), factor)
            position &+= 1
        }
        return sum
    }

    @inline(__always)
    private static func mix(_ sum: UInt64, _ word: UInt64, _ factor: UInt64) -> UInt64 {
        let mixed = (sum ^ word) &* factor
        return mixed ^ mixed >> 31
    }
}
