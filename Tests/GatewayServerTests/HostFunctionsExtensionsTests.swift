import TestSupport
import Testing

@Suite("Optional tables, and what handlers keep")
struct HostFunctionsExtensionsTests {
    @Test("gw.thread-check/1 knows the thread of a connection's callback")
    func threadCheck() throws {
        let gateway = try TestGateway(handler: "fixture_errands")
        let errand = try Errand(gateway)
        #expect(try errand.ask("where") == "= 1 0")
        #expect(try errand.ask("thread where") == "= 0 0")
    }

    @Test("gw.metrics/1: the same name is the same number, another kind or no name is refused")
    func metrics() throws {
        let gateway = try TestGateway(handler: "fixture_errands")
        let errand = try Errand(gateway)
        #expect(try errand.ask("define jobs_total 0") == "= 0 1")
        #expect(try errand.ask("define seconds 2") == "= 0 2")
        #expect(try errand.ask("define jobs_total 0") == "= 0 1")
        #expect(try errand.ask("define jobs_total 1") == "= 0 0")
        #expect(try errand.ask("define no-name 0") == "= 0 0")
        #expect(try errand.ask("define jobs 3") == "= 0 0")
    }

    @Test("a handler may keep 64 MiB of what it received, and again when it has let go of them")
    func retained() throws {
        let gateway = try TestGateway(handler: "fixture_errands")
        let errand = try Errand(gateway)
        let large = "retain" + String(repeating: "x", count: (1 << 20) - 6)
        for _ in 0..<2 {
            try errand.tell(large)
            #expect(try errand.hear() == "kept 64")
            try errand.tell("retain")
            #expect(try errand.hear() == "kept 0")
            try errand.tell("release")
            #expect(try errand.hear() == "released")
        }
    }
}
