import TestSupport
import Testing
import WebSocket

@Suite("RFC 6455 5.3: masking")
struct MaskingKeyTests {
    /// The RFC's own words: byte i is combined with byte i modulo 4 of the key.
    private func naive(_ bytes: [UInt8], _ key: [UInt8]) -> [UInt8] {
        bytes.enumerated().map { $1 ^ key[$0 % 4] }
    }

    private func key(_ bytes: [UInt8]) -> MaskingKey {
        MaskingKey(word: bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) })
    }

    static let bytes: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]

    @Test("every length at every alignment, touching nothing else", arguments: 0...70)
    func lengths(_ count: Int) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 3) }
        for alignment in 0..<16 {
            var memory = Array(repeating: UInt8(0xEE), count: alignment) + payload + [0xEE, 0xEE]
            var key = key(Self.bytes)
            memory.withUnsafeMutableBytes { key.unmask(.init(rebasing: $0[alignment..<alignment + count])) }
            #expect(Array(memory[alignment..<alignment + count]) == naive(payload, Self.bytes))
            #expect(memory[..<alignment].allSatisfy { $0 == 0xEE })
            #expect(memory.suffix(2) == [0xEE, 0xEE])
        }
    }

    @Test("cut at every two points it is the same", arguments: 0...70)
    func cuts(_ count: Int) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 5 &+ 1) }
        let expected = naive(payload, Self.bytes)
        for first in 0...count {
            for second in stride(from: first, through: count, by: count < 24 ? 1 : 7) {
                var bytes = payload
                var key = key(Self.bytes)
                bytes.withUnsafeMutableBytes { buffer in
                    key.unmask(.init(rebasing: buffer[..<first]))
                    key.unmask(.init(rebasing: buffer[first..<second]))
                    key.unmask(.init(rebasing: buffer[second...]))
                }
                #expect(bytes == expected, "cut at \(first) and \(second)")
            }
        }
    }

    @Test("the key is turned to the next byte", arguments: 0...12)
    func turn(_ count: Int) {
        var bytes = Array(repeating: UInt8(0), count: count)
        var turned = key(Self.bytes)
        bytes.withUnsafeMutableBytes { turned.unmask($0) }
        #expect(turned == key((0..<4).map { Self.bytes[($0 + count) % 4] }))
    }

    @Test("a megabyte and a bit, with random keys", arguments: 0..<3 as Range<UInt64>)
    func big(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let mask = random.bytes(4)
        var bytes = Array(repeating: UInt8(0x5A), count: 1_048_576 + Int(seed))
        let expected = naive(bytes, mask)
        var key = key(mask)
        bytes.withUnsafeMutableBytes { key.unmask($0) }
        #expect(bytes == expected)
        var back = self.key(mask)
        bytes.withUnsafeMutableBytes { back.unmask($0) }
        #expect(bytes.allSatisfy { $0 == 0x5A })
    }

    @Test("nothing is nothing")
    func nothing() {
        var key = key(Self.bytes)
        key.unmask(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        #expect(key == self.key(Self.bytes))
    }
}
