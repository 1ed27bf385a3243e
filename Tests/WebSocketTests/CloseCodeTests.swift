import Testing
import WebSocket

@Suite("RFC 6455 7.4: close codes")
struct CloseCodeTests {
    /// The registry, one by one, and the two ranges that are free to use.
    static let allowed: Set<UInt16> = Set(
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014] + Array(3000...4999))

    @Test("every number there is")
    func everyCode() {
        let wrong = (UInt16.min...UInt16.max).filter { CloseCode.isAllowedOnWire($0) != Self.allowed.contains($0) }
        #expect(wrong == [])
    }

    @Test("what the gateway sends may be sent; what stands for nothing may not")
    func names() {
        let sent = [
            CloseCode.normal, CloseCode.goingAway, CloseCode.protocolError, CloseCode.invalidPayload, CloseCode.tooBig,
            CloseCode.internalError, CloseCode.serviceRestart, CloseCode.tryAgainLater,
        ]
        #expect(sent == [1000, 1001, 1002, 1007, 1009, 1011, 1012, 1013])
        #expect(sent.allSatisfy(CloseCode.isAllowedOnWire))
        #expect([CloseCode.none, CloseCode.abnormal] == [1005, 1006])
    }
}
