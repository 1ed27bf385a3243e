import GatewayControl

/// A line of the control socket is a command or refused; a command is written as it was read.
func tryControlLine(_ bytes: [UInt8]) -> Int32 {
    if let command = try? ControlCommand(line: bytes) {
        precondition((try? ControlCommand(line: Array(command.line.utf8))) == command, "a command reads otherwise")
    }
    if let answer = ControlAnswer(bytes: bytes) {
        precondition(ControlAnswer(bytes: answer.bytes) == answer, "an answer reads otherwise")
    }
    return 0
}
