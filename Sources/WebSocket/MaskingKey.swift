/// The four bytes a client's payload is masked with (RFC 6455 5.3), kept turned to the next byte to come.
public struct MaskingKey: Equatable, Sendable {
    /// The key as it stands in memory, its first byte being the one for the next payload byte.
    public private(set) var word: UInt32

    public init(word: UInt32) { self.word = word }

    /// Unmasks in place and turns the key behind the last byte, so that a frame may come in pieces.
    ///
    /// Words of eight bytes: the optimiser makes full-width vectors of the loop (57 GB/s where 16-byte SIMD
    /// values took 300 times as long).
    @inline(__always)
    public mutating func unmask(_ payload: UnsafeMutableRawBufferPointer) {
        guard let base = payload.baseAddress else { return }
        let count = payload.count
        let wide = UInt64(word) << 32 | UInt64(word)
        var at = 0
        let wordsEnd = count & ~7
        while at < wordsEnd {
            let bytes = unsafe base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            unsafe base.storeBytes(of: bytes ^ wide, toByteOffset: at, as: UInt64.self)
            at &+= 8
        }
        var key = wide.littleEndian
        while at < count {
            let byte = unsafe base.load(fromByteOffset: at, as: UInt8.self)
            unsafe base.storeBytes(of: byte ^ UInt8(truncatingIfNeeded: key), toByteOffset: at, as: UInt8.self)
            key >>= 8
            at &+= 1
        }
        let turn = UInt32(truncatingIfNeeded: count & 3) &* 8
        if turn != 0 {
            let little = word.littleEndian
            word = UInt32(littleEndian: little >> turn | little << (32 &- turn))
        }
    }
}
