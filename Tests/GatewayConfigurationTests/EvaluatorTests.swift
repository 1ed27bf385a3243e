import GatewayConfiguration
import Testing

@Suite("gateway.conf: the whole")
struct EvaluatorTests {
    @Test func `findings come in the order of the text, and defaults count wherever they stand`() {
        let text = "listen 1;\nroute /x { handler h; bad; }\nworse;\ndefaults { max_message 2; odd; }\n"
        #expect(
            Reading(text).findings == [
                "2:23+3 error: unknown directive \"bad\"", "3:1+5 error: unknown directive \"worse\"",
                "4:27+3 error: unknown directive \"odd\"",
            ])
        let late = Reading("listen 1; route /x { handler h; } defaults { max_message 2; }").configuration
        #expect(late?.routes.first?.limits.maxMessageBytes == 2)
    }

    @Test func `twenty errors are shown, with a word about the rest`() {
        for text in ["x;\n", "route x { a; b; }\n", ";", "}", "max_head 1;", "route /x { handler /; }"] {
            let findings = Reading(String(repeating: text, count: 1000)).findings
            #expect(findings.count == 21)
            #expect(findings.last == ": error: these are the first 20 errors; there may be more")
        }
        #expect(Reading(String(repeating: "x;", count: 19)).findings.count == 19)
    }

    @Test(arguments: wholes)
    func `says what is missing or odd`(_ refusal: Refusal) {
        #expect(Reading(refusal.text).findings == refusal.findings)
    }
}

private let wholes: [Refusal] = [
    Refusal(
        "",
        [
            " error: there is no \"listen\", so nobody could connect",
            " warning: there is no \"route\", so every request is answered 404",
        ]),
    Refusal(
        "threads 1;",
        [
            " error: there is no \"listen\", so nobody could connect",
            " warning: there is no \"route\", so every request is answered 404",
        ]),
    Refusal(
        "listen 1;",
        [" warning: there is no \"route\", so every request is answered 404"]),
    Refusal(
        "listen 1; console /;",
        []),
    Refusal(
        "listen 1; mode development;",
        []),
    Refusal(
        "listen 1; mode development; console off;",
        [" warning: there is no \"route\", so every request is answered 404"]),
    Refusal(
        "lisen 8080;",
        ["1:1+5 error: unknown directive \"lisen\" (did you mean \"listen\"?)"]),
    Refusal(
        "listen 1; console /; defaults { max_frame 2m; }",
        ["1:33+9 warning: \"max_frame\" above \"max_message\" has no effect (it is 1m here)"]),
    Refusal(
        "listen 1; console /; defaults { max_message 4m; max_frame 2m; }",
        []),
    Refusal(
        "listen 1; defaults { max_frame 1m; } route /x { handler h; max_message 1k; }",
        []),
    Refusal(
        "listen 1; route /x { handler h; max_message 1k; max_frame 2k; }",
        ["1:49+9 warning: \"max_frame\" above \"max_message\" has no effect (it is 1k here)"]),
    Refusal(
        "listen 1; console /; defaults { ping_interval off; pong_timeout 3s; }",
        ["1:52+12 warning: \"pong_timeout\" has no effect while \"ping_interval\" is off"]),
    Refusal(
        "listen 1; console /; defaults { ping_interval off; }",
        []),
    Refusal(
        "listen 1; defaults { ping_interval off; } route /x { handler h; pong_timeout 1s; }",
        ["1:65+12 warning: \"pong_timeout\" has no effect while \"ping_interval\" is off"]),
    Refusal(
        "listen 1; defaults { ping_interval off; } route /x { handler h; ping_interval 1s; pong_timeout 1s; }",
        []),
]
