import GatewayControl
import Testing

@Suite("The control protocol: a line each way")
struct ControlCommandTests {
    @Test(
        arguments: [
            .status(.text), .status(.colour), .status(.json), .reload(nil), .reload("chat-2_x.y"), .rollback("a"),
            .stop(nil), .drain(nil), .stop(.drainTimeout), .drain(.drainTimeout), .stop(.milliseconds(1500)),
            .drain(.milliseconds(86_400_000)), .reload(String(repeating: "x", count: 128)),
        ] as [ControlCommand])
    func `a command reads back`(_ command: ControlCommand) throws {
        #expect(try ControlCommand(line: Array(command.line.utf8)) == command)
        #expect(command.line.utf8.count < ControlCommand.longestLine)
    }

    @Test func `spaces do not matter, and a status is text`() throws {
        #expect(try ControlCommand(line: Array("  reload   chat ".utf8)) == .reload("chat"))
        #expect(try ControlCommand(line: Array("status".utf8)) == .status(.text))
    }

    @Test(arguments: [
        "", " ", "Status", "status xml", "reload a b", "reload ../x", "reload .x", "reload a/b", "rollback",
        "rollback é", "stop now", "drain all", "stop spread 30", "stop spread 0s", "drain spread 25h",
        "drain spread 1s x", "stop 1s", "exit 0", "\u{0}", "status\r",
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
