import Testing
import WebSocket

@Suite("RFC 6455 5.2: opcodes")
struct OpcodeTests {
    @Test("six of sixteen mean something; the upper bit means control", arguments: 0...15 as ClosedRange<UInt8>)
    func values(_ value: UInt8) {
        let named: [UInt8: Opcode] = [0: .continuation, 1: .text, 2: .binary, 8: .close, 9: .ping, 10: .pong]
        #expect(Opcode(rawValue: value) == named[value])
    }
}
