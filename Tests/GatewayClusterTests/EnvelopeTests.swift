import Testing

@testable import GatewayCluster

struct EnvelopeTests {
    private var head: Envelope {
        Envelope(kind: .publication, flags: [.text, .first], origin: 7, number: 1 << 40, sent: 12345)
    }

    private func bytes(_ head: Envelope, _ payload: [UInt8]) -> [UInt8] {
        payload.withUnsafeBytes { head.bytes($0) }
    }

    private func read(_ bytes: [UInt8]) -> (head: Envelope, payload: [UInt8])? {
        bytes.withUnsafeBytes { Envelope.read($0).map { ($0.head, Array($0.payload)) } }
    }

    @Test(arguments: [0, 1, 40, 100_000]) func `what is sent is read`(count: Int) throws {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let found = try #require(read(bytes(head, payload)))
        #expect(found.head == head && found.payload == payload)
    }

    @Test func `no octet may be another one`() {
        let whole = bytes(head, [1, 2, 3])
        for index in whole.indices {
            for bit in 0..<8 {
                var other = whole
                other[index] ^= 1 << bit
                #expect(read(other) == nil, "bit \(bit) of octet \(index)")
            }
        }
    }

    @Test func `none may be missing`() {
        let whole = bytes(head, [1, 2, 3])
        for count in 0..<whole.count { #expect(read(Array(whole[..<count])) == nil) }
        #expect(read(whole + [0]) == nil)
    }

    @Test func `what means nothing is refused`() {
        var other = head
        other.origin = 0
        #expect(read(bytes(other, [])) == nil)
        other = head
        other.flags = [.text, .binary]
        #expect(read(bytes(other, [])) == nil)
        other.flags = []
        #expect(read(bytes(other, [])) == nil)
        other = head
        (other.part, other.parts) = (2, 2)
        #expect(read(bytes(other, [])) == nil)
        other.flags = Envelope.Flags(rawValue: 0x41)
        #expect(read(bytes(other, [])) == nil)
    }
}
