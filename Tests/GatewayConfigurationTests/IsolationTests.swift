import GatewayConfiguration
import Testing

@Suite("gateway.conf: isolation, and what is said of a process")
struct IsolationTests {
    @Test func `nothing is isolated unless it is said`() {
        #expect(Reading(complete("")).configuration?.routes.map(\.limits.isolation) == [Isolation()])
        #expect(Isolation().mode == .none && Isolation().checkpoint == .off)
        #expect(Isolation().crash == .close && Isolation().recycling == nil)
    }

    @Test(arguments: accepted)
    func `takes effect`(_ acceptance: Acceptance) {
        let reading = Reading(complete(acceptance.text))
        #expect(reading.findings == [])
        #expect(reading.configuration.map(acceptance.holds) == true)
    }

    @Test(arguments: refused)
    func `refuses with the place and what is legal`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }

    @Test func `what defaults say of processes is not for routes without one`() {
        let text =
            "defaults { checkpoint message; crash resume; recycle 24h; } route /x { handler x; isolation process; }"
        let reading = Reading(complete(text))
        #expect(reading.findings == [])
        var isolated = Isolation()
        (isolated.mode, isolated.checkpoint, isolated.crash) = (.process, .message, .resume)
        isolated.recycling = .init(milliseconds: 86_400_000)
        #expect(reading.configuration?.routes.map(\.limits.isolation) == [isolated, Isolation()])
    }

    @Test func `a word that means two things is told how to write either`() {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.parse(complete("defaults { recycle 90m; }"), file: "gateway.conf")
        }
        #expect(error?.rendered().contains("Write 90M for mebibytes, or 5400s for minutes.") == true)
    }

    @Test func `two routes of a handler that differ are both named`() {
        let text = """
            route /a { handler x; isolation process; }
            route /b { handler x; }
            host a.example { route /c { handler x; isolation none; } }
            route /d { handler x; isolation process; crash resume; }
            route /e { handler y; }
            """
        let both = "handler \"x\" cannot have \"isolation none\" here and \"isolation process\" at gateway.conf:1"
        #expect(Reading(complete(text)).findings == ["2:7+2 error: \(both)", "3:40+9 error: \(both)"])
    }

    @Test func `a route that another one makes wrong may be the one that says nothing`() {
        let text = "defaults { isolation process; }\nroute /a { handler x; }\nroute /b { handler x; isolation none; }"
        let both = "handler \"x\" cannot have \"isolation none\" here and \"isolation process\" at gateway.conf:2"
        #expect(Reading(complete(text)).findings == ["3:23+9 error: \(both)"])
    }
}

private let accepted: [Acceptance] = [
    Acceptance("defaults { isolation process; }") { $0.routes.map(\.limits.isolation.mode) == [.process] },
    Acceptance("defaults { isolation process; } route /x { handler x; isolation none; }") {
        $0.routes.map(\.limits.isolation.mode) == [.none, .process]
    },
    Acceptance("defaults { checkpoint message; }") { $0.limits.isolation.checkpoint == .message },
    Acceptance("defaults { checkpoint 10ms; }") { $0.limits.isolation.checkpoint == .every(milliseconds: 10) },
    Acceptance("defaults { checkpoint 1h; }") { $0.limits.isolation.checkpoint == .every(milliseconds: 3_600_000) },
    Acceptance("defaults { checkpoint off; }") { $0.limits.isolation.checkpoint == .off },
    Acceptance("defaults { crash resume; }") { $0.limits.isolation.crash == .resume },
    Acceptance("defaults { crash close; }") { $0.limits.isolation.crash == .close },
    Acceptance("defaults { recycle off; }") { $0.limits.isolation.recycling == nil },
    Acceptance("defaults { recycle 512m 24h; }") {
        $0.limits.isolation.recycling == .init(bytes: 512 << 20, milliseconds: 86_400_000)
    },
    Acceptance("defaults { recycle 1g 30m; }") {
        $0.limits.isolation.recycling == .init(bytes: 1 << 30, milliseconds: 1_800_000)
    },
    Acceptance("defaults { recycle 512M; }") { $0.limits.isolation.recycling == .init(bytes: 512 << 20) },
    Acceptance("defaults { recycle 1024g; }") { $0.limits.isolation.recycling == .init(bytes: 1 << 40) },
    Acceptance("defaults { recycle 1s; }") { $0.limits.isolation.recycling == .init(milliseconds: 1000) },
    Acceptance("defaults { recycle 365d; }") {
        $0.limits.isolation.recycling == .init(milliseconds: 365 * 86_400_000)
    },
    Acceptance("defaults { isolation process; recycle 1d; } route /x { handler x; recycle off; }") {
        $0.routes.map(\.limits.isolation.recycling) == [nil, .init(milliseconds: 86_400_000)]
    },
]

private let refused: [Refusal] = [
    Refusal(
        "defaults { isolation proces; crash reopen; }",
        [
            "1:22+6 error: \"isolation\" does not take \"proces\" (did you mean \"process\"?)",
            "1:36+6 error: \"crash\" takes \"close\" or \"resume\", not \"reopen\"",
        ]),
    Refusal(
        "isolation process;",
        ["1:1+9 error: \"isolation\" is not allowed at the top level, only in \"defaults\" or in a route"]),
    Refusal(
        "defaults { isolation; checkpoint; crash; recycle; }",
        [
            "1:12+9 error: \"isolation\" needs \"none\" or \"process\"",
            "1:23+10 error: \"checkpoint\" needs \"off\", \"message\", or a duration such as 200ms or 1s",
            "1:35+5 error: \"crash\" needs \"close\" or \"resume\"",
            "1:42+7 error: \"recycle\" needs \"off\", or a size, a duration, or both, such as 512m 24h",
        ]),
    Refusal(
        "defaults { checkpoint 9ms; }",
        ["1:23+3 error: \"9ms\" is out of range for \"checkpoint\" (10ms to 1h)"]),
    Refusal(
        "defaults { checkpoint messages; }",
        ["1:23+8 error: \"messages\" is not \"off\", \"message\", or a duration such as 200ms or 1s"]),
    Refusal("defaults { checkpoint 1; }", ["1:23+1 error: \"1\" has no unit (ms, s, m, h or d)"]),
    Refusal(
        "defaults { recycle 512m; }", ["1:20+4 error: \"512m\" alone may be a size or a duration"]),
    Refusal(
        "defaults { recycle 24h 512m; }",
        ["1:20+3 error: unknown unit \"h\" in \"24h\" (k, m or g)"]),
    Refusal(
        "defaults { recycle 512k 500ms; }",
        ["1:20+4 error: \"512k\" is out of range for \"recycle\" (1m to 1024g)"]),
    Refusal(
        "defaults { recycle 512m 500ms; }",
        ["1:25+5 error: \"500ms\" is out of range for \"recycle\" (1s to 365d)"]),
    Refusal(
        "defaults { recycle 512m 24h off; }",
        [
            "1:25+3 error: \"recycle\" takes one value: \"off\", or a size, a duration, or both, such as 512m 24h"
        ]),
    Refusal(
        "route /x { handler x; checkpoint 1s; crash resume; recycle 1d; }",
        [
            "1:23+10 error: \"checkpoint\" without \"isolation process\" has no effect",
            "1:38+5 error: \"crash\" without \"isolation process\" has no effect",
            "1:52+7 error: \"recycle\" without \"isolation process\" has no effect",
        ]),
    Refusal(
        "defaults { isolation process; } route /x { handler x; isolation none; checkpoint message; }",
        ["1:71+10 error: \"checkpoint\" without \"isolation process\" has no effect"]),
]
