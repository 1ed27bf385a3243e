import GatewayHandler
import Testing

@Suite("RFC 6455 7.4, close codes")
struct CloseCodeTests {
    @Test(arguments: [
        (0...999, false), (1000...1003, true), (1004...1006, false), (1007...1014, true), (1015...2999, false),
        (3000...4999, true), (5000...65535, false),
    ])
    func `are allowed on the wire or not`(_ codes: ClosedRange<Int>, _ isAllowed: Bool) {
        #expect(codes.allSatisfy { CloseCode(UInt16($0)).isAllowedOnTheWire == isAllowed })
    }

    @Test func `have the names of the registry`() {
        let codes: [(CloseCode, UInt16)] = [
            (.normalClosure, 1000), (.goingAway, 1001), (.protocolError, 1002), (.unsupportedData, 1003),
            (.noStatusReceived, 1005), (.abnormalClosure, 1006), (.invalidPayloadData, 1007), (.policyViolation, 1008),
            (.messageTooBig, 1009), (.mandatoryExtension, 1010), (.internalError, 1011), (.serviceRestart, 1012),
            (.tryAgainLater, 1013), (.badGateway, 1014), (.tlsHandshake, 1015),
        ]
        for (code, number) in codes { #expect(code.rawValue == number && "\(code)" == "\(number)") }
    }
}
