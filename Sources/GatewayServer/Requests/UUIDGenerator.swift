import CLinux
import Glibc

/// Makes the UUIDv7 of connections (RFC 9562 5.7) from the kernel's randomness, fetched in bulk.
struct UUIDGenerator: ~Copyable {
    private var pool: [UInt64] = []

    init() {}

    mutating func next(milliseconds: UInt64) -> (UInt64, UInt64) {
        let first = random()
        let second = random()
        let high = milliseconds << 16 | 0x7000 | first & 0x0FFF
        let low = second & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return (high, low)
    }

    private mutating func random() -> UInt64 {
        if let word = pool.popLast() { return word }
        var generator = SystemRandomNumberGenerator()
        var words = [UInt64](repeating: 0, count: 64)
        let wanted = words.count * MemoryLayout<UInt64>.size
        let got = unsafe words.withUnsafeMutableBytes { unsafe clinux_random($0.baseAddress, $0.count) }
        // A short answer (a signal came) is made up word by word.
        if got != wanted { for index in words.indices { words[index] = generator.next() } }
        pool = words
        return pool.popLast() ?? generator.next()
    }
}
