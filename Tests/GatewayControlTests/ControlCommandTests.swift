import GatewayConfiguration
import GatewayControl
import Testing

@Suite("The control protocol: a line each way")
struct ControlCommandTests {
    @Test(
        arguments: [
            .status(.text), .status(.colour), .status(.json), .reload(nil), .reload("chat-2_x.y"), .rollback("a"),
            .upgrade(.installed), .upgrade(.file("/opt/new gateway/100%\n")), .upgrade(.before),
            .upgrade(.file("/back")),
            .stop(nil), .drain(nil), .stop(.drainTimeout), .drain(.drainTimeout), .stop(.milliseconds(1500)),
            .drain(.milliseconds(86_400_000)), .reload(String(repeating: "x", count: 128)),
        ] as [ControlCommand])
    func `a command reads back`(_ command: ControlCommand) throws {
        #expect(try ControlCommand(line: Array(command.line.utf8)) == command)
        #expect(command.line.utf8.count < ControlCommand.longestLine)
    }

    private static var narrowQuery: ConnectionQuery {
        get throws {
            var query = ConnectionQuery()
            query.form = .json
            query.route = "api.example.com/a b%/\u{E9}"
            query.handler = "chat"
            query.generation = 7
            query.peer = try AddressPrefix("10.0.0.0/8")
            query.id = 0x1_0000_002F
            (query.key, query.isDescending, query.limit) = (.queue, true, 12)
            return query
        }
    }

    private static var narrowTrace: TraceQuery {
        var query = TraceQuery(.route("/a b"))
        (query.form, query.isRedacted, query.limit, query.duration) = (.colour, true, 0, 90_000)
        return query
    }

    @Test func `a command with options reads back`() throws {
        let commands: [ControlCommand] = [
            .connections(ConnectionQuery()), .connections(try Self.narrowQuery),
            .trace(TraceQuery(.connection(0xFF00_0000_0000_0001))), .trace(Self.narrowTrace),
        ]
        for command in commands { #expect(try ControlCommand(line: Array(command.line.utf8)) == command) }
        #expect(try ControlCommand(line: Array("connections".utf8)) == .connections(ConnectionQuery()))
        #expect(
            try ControlCommand(line: Array("connections sort=idle".utf8))
                == .connections(
                    {
                        var query = ConnectionQuery()
                        query.key = .idle
                        return query
                    }()))
    }

    @Test(arguments: [
        ("connections sort=size", "--sort is one of age, messages, bytes, queue, idle, and perhaps :desc behind it"),
        (
            "connections sort=age:down",
            "--sort is one of age, messages, bytes, queue, idle, and perhaps :desc behind it"
        ),
        ("connections limit=0", "--limit is a number from 1 to 50000"),
        ("connections limit=+5", "--limit is a number from 1 to 50000"),
        ("connections generation=x", "--generation is a number from 1 to 9223372036854775807"),
        (
            "connections peer=somewhere",
            "--peer \"somewhere\" is no numeric address or network"
                + " (10.0.0.0/8, 192.168.1.7, 2001:db8::/32, unix: or all)"
        ),
        (
            "connections id=12345678901234567",
            "\"12345678901234567\" is no id of a connection (hexadecimal, as the logs and"
                + " `gateway connections` have it)"
        ),
        ("connections colour=x", "\"colour\" is not known here"),
        ("connections limit=1 limit=2", "\"limit\" is given twice, or not as it should be"),
        ("connections route=%4", "\"route\" is given twice, or not as it should be"),
        ("trace", "trace takes the id of a connection, or --route and a path"),
        ("trace id=1 route=/a", "trace takes the id of a connection, or --route and a path"),
        ("trace id=1 limit=1m", "--limit is a size such as 64 or 4k, at most 65536"),
        ("trace id=1 for=0s", "--for is a duration such as 500ms, 30s or 5m"),
        ("trace id=1 for=5", "--for is a duration such as 500ms, 30s or 5m"),
    ])
    func `what is wrong with an option is said`(_ line: String, _ sentence: String) {
        let failure = #expect(throws: ControlCommand.Failure.self) { try ControlCommand(line: Array(line.utf8)) }
        #expect(failure?.sentence == sentence)
    }

    @Test func `spaces do not matter, and a status is text`() throws {
        #expect(try ControlCommand(line: Array("  reload   chat ".utf8)) == .reload("chat"))
        #expect(try ControlCommand(line: Array("status".utf8)) == .status(.text))
    }

    @Test(arguments: [
        "", " ", "Status", "status xml", "reload a b", "reload ../x", "reload .x", "reload a/b", "rollback",
        "rollback é", "stop now", "drain all", "stop spread 30", "stop spread 0s", "drain spread 25h",
        "drain spread 1s x", "stop 1s", "exit 0", "upgrade /usr/bin/gateway", "upgrade file=gateway", "upgrade file=",
        "upgrade file=/a%00", "upgrade file=/a more=1",
        "upgrade back file=/a", "upgrade file=/a back", "upgrade back back", "upgrade back=1", "upgrade Back", "\u{0}",
        "status\r",
        "reload " + String(repeating: "x", count: 129),
    ])
    func `anything else is refused`(_ line: String) {
        #expect(throws: ControlCommand.Failure.self) { try ControlCommand(line: Array(line.utf8)) }
    }

    @Test func `bytes that are no text are refused`() {
        #expect(throws: ControlCommand.Failure.self) { try ControlCommand(line: [0xFF, 0xFE]) }
    }

    @Test(
        arguments: [
            ("", 0, "exit 0\n"), ("a", 75, "a\nexit 75\n"), ("a\nb\n", 0, "a\nb\nexit 0\n"),
            ("exit 1", 2, "exit 1\nexit 2\n"),
        ] as [(String, Int32, String)])
    func `an answer ends with the exit status`(_ text: String, _ exit: Int32, _ wire: String) {
        let bytes = ControlAnswer(text, exit: exit).bytes
        #expect(String(decoding: bytes, as: UTF8.self) == wire)
        let read = ControlAnswer(bytes: bytes)
        #expect(read?.exit == exit)
        #expect(read?.text == (text.isEmpty || text.hasSuffix("\n") ? text : text + "\n"))
    }

    @Test(arguments: [
        "", "\n", "exit", "exit 0", "exit 0 \n", "exit  0\n", "exit x\n", "exit 256\n", "exit -1\n", "a exit 0\n",
        "some text\n", "exit 99999999999\n",
    ])
    func `an answer without its end is none`(_ wire: String) {
        #expect(ControlAnswer(bytes: Array(wire.utf8)) == nil)
    }
}
