import GatewayLoad
import GatewayTLS
import Testing

@Suite("gateway bench: its arguments")
struct LoadPlanTests {
    private static let url = "ws://127.0.0.1:8080/echo"

    @Test func `a URL alone is an echo of 20 bytes`() throws {
        let plan = try LoadPlan([Self.url])
        #expect(plan.mode == .echo)
        #expect(plan.size == 20 && plan.connections == 64 && plan.depth == 1)
        #expect(!plan.wantsJSON)
    }

    @Test func `options may stand anywhere and be joined with their value`() throws {
        let plan = try LoadPlan(["-d", "16", "echo", "--size=1024", Self.url, "--binary", "--pid", "7", "--json"])
        #expect(plan.depth == 16 && plan.size == 1024 && plan.content == .binary)
        #expect(plan.processes == [7] && plan.wantsJSON)
    }

    @Test func `wss has a trust, and connections that go on with a session`() throws {
        let secure = "wss://localhost/echo"
        #expect(try LoadPlan([secure]).trust == .system)
        #expect(try LoadPlan([secure, "--insecure"]).trust == .anybody)
        let plan = try LoadPlan(["connect", secure, "--cacert=ca.pem", "--resume", "--deflate"])
        #expect(plan.trust == .file("ca.pem") && plan.resumes && plan.deflates)
    }

    @Test(arguments: [("fanout", 500, 64), ("idle", 10_000, 20), ("connect", 64, 20)])
    func `a mode has defaults of its own`(_ mode: String, _ connections: Int, _ size: Int) throws {
        let plan = try LoadPlan([mode, Self.url])
        #expect(plan.mode.rawValue == mode)
        #expect(plan.connections == connections && plan.size == size)
    }

    @Test(arguments: [
        [], ["echo"], [url, url], [url, "--nonsense"], [url, "-c"], [url, "-c", "0"], [url, "-c", "x"],
        [url, "-c", "99999999999999999999"], [url, "--seconds", "nan"], [url, "--seconds", "-1"], [url, "--rate", "0"],
        [url, "--rate", "inf"], [url, "--json=yes"], [url, "-d", "65536", "-s", "1048576"],
        ["fanout", url, "-s", "15"],
        ["fanout", url, "-s", "4097"], ["fanout", url, "--rate", "5"], ["idle", url, "--rate", "5"],
        ["idle", url, "--messages", "5"],
        [url, "--flood", "0"], ["connect", url, "--flood", "9"], [url, "--flood", "65536", "-s", "1048576"],
        [url, "--insecure"], [url, "--cacert", "f"], ["wss://h/", "--cacert"], ["connect", url, "--resume"],
        ["wss://h/", "--resume"], [url, "--deflate=1"], [url, "-H", "no colon"], [url, "-H", "A: b\r\nC: d"],
        [url, "--protocol", "a\nb"], [url, "--pid", "0"],
    ])
    func `what makes no sense is refused`(_ arguments: [String]) {
        #expect(throws: LoadUsageError.self) { try LoadPlan(arguments) }
    }
}
