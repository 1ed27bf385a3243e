import GatewayConfiguration
import Testing

@Suite("gateway.conf: statements and blocks")
struct SyntaxReaderTests {
    @Test func `a value may stand in the next line`() {
        let text = "listen 1; route /x { handler\nh; subprotocols a\nb; set\nhandler\nthreads; }"
        let route = Reading(text).configuration?.routes.first
        #expect(route?.handler == "h")
        #expect(route?.subprotocols == ["a", "b"])
        #expect(route?.settings == [.init(key: "handler", value: "threads")])
    }

    @Test(arguments: refusedStructure)
    func `points at what is out of balance`(_ refusal: Refusal) {
        #expect(Reading(refusal.text).findings == refusal.findings)
    }
}

private let refusedStructure: [Refusal] = [
    Refusal(
        "threads 1",
        ["1:10+1 error: missing \";\" behind \"1\""]),
    Refusal(
        "listen 8080\nthreads 1;\nmode production\n",
        [
            "1:12+1 error: missing \";\" behind \"8080\"",
            "3:16+1 error: missing \";\" behind \"production\"",
        ]),
    Refusal(
        "listen 8080\nroute /r { handler h\nset a b\nmax_message 1m }",
        [
            "1:12+1 error: missing \";\" behind \"8080\"",
            "2:21+1 error: missing \";\" behind \"h\"",
            "3:8+1 error: missing \";\" behind \"b\"",
            "4:15+1 error: missing \";\" behind \"1m\"",
        ]),
    Refusal(
        "}",
        ["1:1+1 error: unexpected \"}\" (no block is open)"]),
    Refusal(
        "{",
        ["1:1+1 error: unexpected \"{\" (a block begins with a name)"]),
    Refusal(
        "{}",
        ["1:1+1 error: unexpected \"{\" (a block begins with a name)"]),
    Refusal(
        "a { }}",
        ["1:6+1 error: unexpected \"}\" (no block is open)"]),
    Refusal(
        "route /x { handler h;",
        ["1:10+1 error: \"{\" is never closed (the block of \"route\" has no \"}\")"]),
    Refusal(
        "route /x { handler h; defaults {",
        [
            "1:10+1 error: \"{\" is never closed (the block of \"route\" has no \"}\")",
            "1:32+1 error: \"{\" is never closed (the block of \"defaults\" has no \"}\")",
        ]),
    Refusal(
        ";;",
        [
            "1:1+1 error: unexpected \";\"",
            "1:2+1 error: unexpected \";\"",
        ]),
    Refusal(
        "a{b{c{d{e{f{g{h{i{j{}}}}}}}}}}",
        ["1:18+1 error: blocks are nested more than 8 deep"]),
    Refusal(
        "listen 1;\nroute /x { handler h; set\nhandler\nroute\nset a b; }",
        ["4:6+1 error: missing \";\" behind \"route\""]),
]
