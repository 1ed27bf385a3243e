import Testing

@testable import GatewayServer

@Suite("A mistake of a handler is a line of the log that can be read back")
struct MistakeTests {
    @Test(arguments: Mistake.Kind.allCases)
    func `reads its own line`(_ kind: Mistake.Kind) {
        let mistake = Mistake(kind, "message() did (this): that")
        #expect(Mistake(logLine: "warning: \(mistake.logLine(of: "x \"y\""))") == mistake)
        #expect(!kind.advice.isEmpty)
    }

    @Test(arguments: ["", "info: serving", "handler \"a\" was caught at a mistake (nothing): x"])
    func `and no other`(_ line: String) { #expect(Mistake(logLine: line) == nil) }
}
