import Testing

@testable import GatewayServer

@Suite("What was lent to a watched handler is overwritten")
struct PoisonedBuffersTests {
    @Test
    func `a copy is overwritten, what it was made of is not`() {
        var poisonedBuffers = PoisonedBuffers()
        let bytes: [UInt8] = Array(0..<100)
        bytes.withUnsafeBytes { source in
            let copy = poisonedBuffers.copy(source)
            #expect(copy.elementsEqual(source) && UnsafeRawPointer(copy.baseAddress) != source.baseAddress)
            poisonedBuffers.spoil(copy)
            // Kept, so it may be looked at: that is what it is for.
            #expect(copy.allSatisfy { $0 == PoisonedBuffers.poison })
            #expect(source.elementsEqual(0..<100))
        }
    }

    @Test
    func `nothing is lent as nothing`() {
        var poisonedBuffers = PoisonedBuffers()
        let copy = poisonedBuffers.copy(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(copy.count == 0)
        poisonedBuffers.spoil(copy)
    }

    @Test(
        arguments: [
            ([], false), ([0xDB], false), ([0xDB, 0xDB], true), ([0xDB, 0x41], false),
            (Array(repeating: 0xDB, count: 8), true), ([1, 2] + Array(repeating: 0xDB, count: 8) + [3], true),
            ([1, 2] + Array(repeating: 0xDB, count: 7) + [3], false),
        ] as [([UInt8], Bool)])
    func `is told by eight in a row, or by all`(_ bytes: [UInt8], _ isPoisoned: Bool) {
        #expect(bytes.withUnsafeBytes { PoisonedBuffers.isPoisoned($0) } == isPoisoned)
    }
}
