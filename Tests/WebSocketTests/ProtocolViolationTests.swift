import Testing
import WebSocket

@Suite("RFC 6455 7.1.7 and 7.4.1: what failing a connection says")
struct ProtocolViolationTests {
    @Test(
        "each violation has its close code, and a reason that fits a Close frame",
        arguments: [
            (.unmasked, 1002), (.reservedBits, 1002), (.reservedOpcode, 1002), (.badLength, 1002),
            (.badControlFrame, 1002), (.unexpectedContinuation, 1002), (.expectedContinuation, 1002),
            (.badClosePayload, 1002), (.badCloseCode, 1002), (.invalidUTF8, 1007), (.invalidReason, 1007),
            (.brokenCompression, 1007),
            (.frameTooBig, 1009), (.messageTooBig, 1009),
        ] as [(ProtocolViolation, UInt16)])
    func closeCode(_ violation: ProtocolViolation, code: UInt16) {
        #expect(violation.closeCode == code)
        #expect(CloseCode.isAllowedOnWire(violation.closeCode))
        #expect((1...ClosePayload.maximumReason).contains(violation.reason.utf8.count))
        #expect(violation.reason.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "printable in any log")
    }
}
