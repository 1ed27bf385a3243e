import Testing

@testable import GatewayCluster

struct PartAssemblyTests {
    private var assembly = PartAssembly()

    private mutating func take(
        _ part: UInt32, of parts: UInt32, _ payload: [UInt8], number: UInt64 = 1, origin: UInt64 = 1,
        name: [UInt8] = [1]
    ) -> PartAssembly.Outcome {
        var head = Envelope(kind: .publication, flags: .binary, origin: origin, number: number, sent: 0)
        (head.part, head.parts) = (part, parts)
        return payload.withUnsafeBytes { assembly.take(head, $0, name: name) }
    }

    @Test mutating func `parts become one, whatever comes between`() {
        #expect(take(0, of: 3, [1]) == .unfinished)
        #expect(take(0, of: 2, [9], origin: 2) == .unfinished)
        #expect(take(1, of: 3, [2]) == .unfinished)
        #expect(take(0, of: 2, [7], name: [2]) == .unfinished)
        #expect(take(2, of: 3, [3]) == .whole([1, 2, 3]))
        #expect(take(1, of: 2, [9], origin: 2) == .whole([9, 9]))
    }

    @Test mutating func `a part that does not fit ends it`() {
        #expect(take(1, of: 2, [1]) == .dropped)
        #expect(take(0, of: 3, [1]) == .unfinished)
        #expect(take(2, of: 3, [3]) == .dropped)
        #expect(take(1, of: 3, [2]) == .dropped)
        #expect(take(0, of: 2, [1], number: 2) == .unfinished)
        #expect(take(1, of: 2, [1], number: 3) == .dropped)
        #expect(take(1, of: 2, [1], number: 2) == .dropped)
    }

    @Test mutating func `memory is bounded`() {
        for index in 0..<UInt64(PartAssembly.mostUnfinished) { _ = take(0, of: 2, [1], origin: index + 1) }
        // The one that has waited longest makes room.
        #expect(take(0, of: 2, [1], origin: 999) == .unfinished)
        #expect(take(1, of: 2, [2], origin: 1) == .dropped)
        #expect(take(1, of: 2, [2], origin: 2) == .whole([1, 2]))
        let large = [UInt8](repeating: 1, count: PartAssembly.mostBytes / 2)
        #expect(take(0, of: 3, large, origin: 1000) == .unfinished)
        #expect(take(1, of: 3, large, origin: 1000) == .dropped)
        // It was given up, and its memory with it.
        #expect(take(0, of: 2, large, origin: 1001) == .unfinished)
        #expect(take(1, of: 2, [5], origin: 1001) == .whole(large + [5]))
    }
}
