import TestSupport
import Testing
import WebSocket

@Suite("RFC 6455 5.3: masking")
struct MaskingKeyTests {
    /// The RFC's own words: octet i is combined with octet i modulo 4 of the key.
    private func naive(_ octets: [UInt8], _ key: [UInt8]) -> [UInt8] {
        octets.enumerated().map { $1 ^ key[$0 % 4] }
    }

    private func key(_ octets: [UInt8]) -> MaskingKey {
        MaskingKey(word: octets.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) })
    }

    static let octets: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]

    @Test("every length at every alignment, touching nothing else", arguments: 0...70)
    func lengths(_ count: Int) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 3) }
        for alignment in 0..<16 {
            var memory = Array(repeating: UInt8(0xEE), count: alignment) + payload + [0xEE, 0xEE]
            var key = key(Self.octets)
            memory.withUnsafeMutableBytes { key.unmask(.init(rebasing: $0[alignment..<alignment + count])) }
            #expect(Array(memory[alignment..<alignment + count]) == naive(payload, Self.octets))
            #expect(memory[..<alignment].allSatisfy { $0 == 0xEE })
            #expect(memory.suffix(2) == [0xEE, 0xEE])
        }
    }

    @Test("cut at every two points it is the same", arguments: 0...70)
    func cuts(_ count: Int) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 5 &+ 1) }
        let expected = naive(payload, Self.octets)
        for first in 0...count {
            for second in stride(from: first, through: count, by: count < 24 ? 1 : 7) {
                var octets = payload
                var key = key(Self.octets)
                octets.withUnsafeMutableBytes { buffer in
                    key.unmask(.init(rebasing: buffer[..<first]))
                    key.unmask(.init(rebasing: buffer[first..<second]))
                    key.unmask(.init(rebasing: buffer[second...]))
                }
                #expect(octets == expected, "cut at \(first) and \(second)")
            }
        }
    }

    @Test("the key is turned to the next octet", arguments: 0...12)
    func turn(_ count: Int) {
        var octets = Array(repeating: UInt8(0), count: count)
        var turned = key(Self.octets)
        octets.withUnsafeMutableBytes { turned.unmask($0) }
        #expect(turned == key((0..<4).map { Self.octets[($0 + count) % 4] }))
    }

    @Test("a megabyte and a bit, with random keys", arguments: 0..<3 as Range<UInt64>)
    func big(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let mask = random.octets(4)
        var octets = Array(repeating: UInt8(0x5A), count: 1_048_576 + Int(seed))
        let expected = naive(octets, mask)
        var key = key(mask)
        octets.withUnsafeMutableBytes { key.unmask($0) }
        #expect(octets == expected)
        var back = self.key(mask)
        octets.withUnsafeMutableBytes { back.unmask($0) }
        #expect(octets.allSatisfy { $0 == 0x5A })
    }

    @Test("nothing is nothing")
    func nothing() {
        var key = key(Self.octets)
        key.unmask(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        #expect(key == self.key(Self.octets))
    }
}
