import GatewayLoad
import Testing

@Suite("The load generator notices every fault")
struct LoadGeneratorTests {
    private static func run(_ server: ScriptedServer, _ options: String...) throws -> LoadReport {
        let plan = try LoadPlan(["ws://127.0.0.1:\(server.port)/", "-c", "1"] + options)
        return try LoadGenerator.run(plan)
    }

    @Test(arguments: [ScriptedServer.Manner.honest, .fragments, .pings])
    func `a server that does right is found to`(_ manner: ScriptedServer.Manner) throws {
        let report = try Self.run(try ScriptedServer(manner), "--messages", "300", "--depth", "4")
        #expect(report.isGood)
        #expect(report.faults.examples == [])
        #expect(report.figures.contains { $0.name == "messages" && $0.value == .count(300) })
    }

    @Test(arguments: [
        (ScriptedServer.Manner.refuses, Faults.Kind.refused), (.falseAccept, .refused), (.masks, .violations),
        (.reservedBit, .violations), (.repeats, .violations), (.anotherType, .mismatched),
        (.changesByte, .mismatched), (.cutsShort, .mismatched), (.swapsOrder, .mismatched), (.endsAtOnce, .closed),
        (.closes, .closed),
    ])
    func `a fault is counted as what it is`(_ manner: ScriptedServer.Manner, _ kind: Faults.Kind) throws {
        let report = try Self.run(try ScriptedServer(manner), "--messages", "8", "--depth", "2")
        // A reply that comes twice answers nothing, or the wrong message: that depends on what is in flight by then.
        let other = manner == .repeats ? report.faults[.mismatched] : 0
        #expect(report.faults[kind] + other > 0)
        #expect(!report.faults.examples.isEmpty)
        #expect(!report.isGood)
    }

    @Test func `nobody listens`() throws {
        let report = try LoadGenerator.run(try LoadPlan(["ws://127.0.0.1:1/", "-c", "3", "--messages", "3"]))
        #expect(report.faults[.refused] == 3)
    }

    @Test func `a process that is not there is a wrong argument`() {
        #expect(throws: LoadFailure.self) {
            try LoadGenerator.run(try LoadPlan(["ws://127.0.0.1:1/", "--pid", "2147483647"]))
        }
    }
}
