import Testing

@testable import GatewayServer

@Suite("A mistake of a handler is a line of the log that can be read back")
struct ContractViolationTests {
    @Test(arguments: ContractViolation.Kind.allCases)
    func `reads its own line`(_ kind: ContractViolation.Kind) {
        let mistake = ContractViolation(kind, "message() did (this): that")
        #expect(ContractViolation(logLine: "warning: \(mistake.logLine(of: "x \"y\""))") == mistake)
        #expect(!kind.advice.isEmpty)
    }

    @Test(arguments: ["", "info: serving", "handler \"a\" was caught at a mistake (nothing): x"])
    func `and no other`(_ line: String) { #expect(ContractViolation(logLine: line) == nil) }
}
