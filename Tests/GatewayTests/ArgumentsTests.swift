import Testing
import gateway

@Suite("The command line is followed, or refused with a hint")
struct ArgumentsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var words: String
        var command: Command?
        var wish = Arguments.Wish.work
        var file: String?
        var isJSON = false
        var operands: [String] = []
        var values: [String: [String]] = [:]
        var flags: Set<String> = []
        var testDescription: String { words }
    }

    @Test(arguments: [
        Case(words: ""),
        Case(words: "run", command: .run),
        Case(words: "-c g.conf", file: "g.conf"),
        Case(words: "--configuration=g.conf check", command: .check, file: "g.conf"),
        Case(words: "check --configuration g.conf", command: .check, file: "g.conf"),
        Case(words: "-t", command: .check),
        Case(words: "-T -c g", wish: .effectiveConfiguration, file: "g"),
        Case(words: "-v", wish: .version), Case(words: "--version", wish: .version),
        Case(words: "-h", wish: .help), Case(words: "help", wish: .help),
        Case(words: "help reload", command: .reload, wish: .help),
        Case(words: "rollback --help", command: .rollback, wish: .help),
        Case(words: "--help status", command: .status, wish: .help),
        Case(words: "status --json", command: .status, isJSON: true),
        Case(words: "status -c x --json", command: .status, file: "x", isJSON: true),
        Case(words: "reload", command: .reload),
        Case(words: "reload chat -c x", command: .reload, file: "x", operands: ["chat"]),
        Case(words: "reload -- -c", command: .reload, operands: ["-c"]),
        Case(words: "rollback chat", command: .rollback, operands: ["chat"]),
        Case(words: "upgrade", command: .upgrade),
        Case(words: "upgrade --back -c g", command: .upgrade, file: "g", flags: ["--back"]),
        Case(words: "upgrade ./gateway -c g", command: .upgrade, file: "g", operands: ["./gateway"]),
        Case(words: "stop", command: .stop), Case(words: "drain", command: .drain),
        Case(words: "stop --spread", command: .stop, values: ["--spread": [""]]),
        Case(words: "stop --spread 30s", command: .stop, values: ["--spread": ["30s"]]),
        Case(words: "drain --spread=5m -c x", command: .drain, file: "x", values: ["--spread": ["5m"]]),
        Case(words: "drain --spread -c x", command: .drain, file: "x", values: ["--spread": [""]]),
        Case(words: "explain /a", command: .explain, operands: ["/a"]),
        Case(
            words: "explain /a -H Host:a -H Origin:b", command: .explain, operands: ["/a"],
            values: ["-H": ["Host:a", "Origin:b"]]),
        Case(words: "new a", command: .new, operands: ["a"]),
        Case(
            words: "new a --language c --into=/tmp", command: .new, operands: ["a"],
            values: ["--language": ["c"], "--into": ["/tmp"]]),
        Case(words: "test a.so --json", command: .test, isJSON: true, operands: ["a.so"]),
        Case(
            words: "test a.so --set a=b --route=/x --set c=d=e", command: .test, operands: ["a.so"],
            values: ["--set": ["a=b", "c=d=e"], "--route": ["/x"]]),
        Case(
            words: "connections --route /a --sort=queue:desc --json", command: .connections, isJSON: true,
            values: ["--route": ["/a"], "--sort": ["queue:desc"]]),
        Case(words: "trace 1f --redact", command: .trace, operands: ["1f"], flags: ["--redact"]),
        Case(words: "trace --route /a --for 1s", command: .trace, values: ["--route": ["/a"], "--for": ["1s"]]),
        Case(words: "inspect a.so", command: .inspect, operands: ["a.so"]),
        Case(words: "init", command: .initialize),
        Case(words: "init a --force", command: .initialize, operands: ["a"], flags: ["--force"]),
        Case(
            words: "connect a -H b:c --subprotocol d --deflate --json", command: .connect, isJSON: true,
            operands: ["a"],
            values: ["-H": ["b:c"], "--subprotocol": ["d"]], flags: ["--deflate"]),
        Case(words: "top -c x --interval=5s", command: .top, file: "x", values: ["--interval": ["5s"]]),
        Case(words: "dev-cert", command: .devCert),
        Case(words: "dev-cert a.test 10.0.0.1", command: .devCert, operands: ["a.test", "10.0.0.1"]),
        Case(words: "completion bash", command: .completion, operands: ["bash"]),
        Case(words: "man", command: .man),
        Case(words: "man gateway.conf", command: .man, operands: ["gateway.conf"]),
        Case(words: "dev-cert --remove", command: .devCert, flags: ["--remove"]),
    ])
    func `is followed`(_ row: Case) throws {
        let arguments = try Arguments(row.words.split(separator: " ").map { String($0) })
        #expect(arguments.command == row.command)
        #expect(arguments.wish == row.wish)
        #expect(arguments.file == row.file)
        #expect(arguments.isJSON == row.isJSON)
        #expect(arguments.operands == row.operands)
        #expect(arguments.values == row.values)
        #expect(arguments.flags == row.flags)
    }

    @Test(arguments: [
        ("statsu", "unknown command \"statsu\" (did you mean \"status\"?)"),
        ("relaod chat", "unknown command \"relaod\" (did you mean \"reload\"?)"),
        ("serve", "unknown command \"serve\" (did you mean `gateway run`, or `gateway` alone?)"),
        ("start", "unknown command \"start\" (did you mean `gateway run`, or `gateway` alone?)"),
        (
            "restart",
            "unknown command \"restart\" (`gateway reload` takes what changed while it serves; else `gateway stop`, and"
                + " `gateway` once more)"
        ),
        ("routes", "unknown command \"routes\" (did you mean `gateway explain PATH`, or `gateway status`?)"),
        ("banch ws://a", "unknown command \"banch\" (did you mean \"bench\"?)"),
        ("init a b", "unexpected \"b\""), ("connect", "\"connect\" needs URL"),
        ("connect a --cacert", "--cacert needs a value"), ("connect a -c x", "unknown option \"-c\" of \"connect\""),
        ("top --json", "unknown option \"--json\" of \"top\""),
        ("frobnicate", "unknown command \"frobnicate\""),
        ("run now", "unexpected \"now\""),
        ("reload a b", "unexpected \"b\""),
        ("rollback", "\"rollback\" needs HANDLER"),
        ("explain", "\"explain\" needs PATH"),
        ("inspect", "\"inspect\" needs FILE.so"),
        ("completion", "\"completion\" needs bash|zsh|fish"),
        ("completion bash zsh", "unexpected \"zsh\""),
        ("inspect a.so -c x", "unknown option \"-c\" of \"inspect\""),
        ("-c", "-c needs the name of a file"),
        ("--configuration= run", "--configuration= needs the name of a file"),
        ("--json", "unknown option \"--json\""),
        ("reload --json", "unknown option \"--json\" of \"reload\""),
        ("status --jsno", "unknown option \"--jsno\" of \"status\" (did you mean \"--json\"?)"),
        ("dev-cert --remvoe", "unknown option \"--remvoe\" of \"dev-cert\" (did you mean \"--remove\"?)"),
        ("dev-cert -c x", "unknown option \"-c\" of \"dev-cert\""),
        ("stop --spread 30", "--spread takes a duration such as 30s, at most 1d, not \"30\""),
        ("drain --spread=", "--spread takes a duration such as 30s, at most 1d, not \"\""),
        ("drain --spread 2d", "--spread takes a duration such as 30s, at most 1d, not \"2d\""),
        ("stop --spraed", "unknown option \"--spraed\" of \"stop\" (did you mean \"--spread\"?)"),
        ("run --spread", "unknown option \"--spread\" of \"run\""),
        ("trace a b", "unexpected \"b\""),
        ("trace --redcat", "unknown option \"--redcat\" of \"trace\" (did you mean \"--redact\"?)"),
        ("connections --sort", "--sort needs a value"),
        ("stop --remove", "unknown option \"--remove\" of \"stop\""),
        ("status -T", "unknown option \"-T\" of \"status\""),
        ("--hlep", "unknown option \"--hlep\" (did you mean \"--help\"?)"),
        ("\u{1B}[2J", "unknown command \"\u{FFFD}[2J\""),
    ])
    func `is refused`(_ words: String, _ sentence: String) {
        let failure = #expect(throws: Arguments.Failure.self) {
            try Arguments(words.split(separator: " ").map { String($0) })
        }
        #expect(failure?.sentence == sentence)
    }
}
