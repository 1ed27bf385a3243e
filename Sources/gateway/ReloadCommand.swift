import GatewayControl
import GatewayServer

/// `gateway reload`: read the configuration again and replace what has changed.
enum ReloadCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        if let handler = arguments.operands.first, let status = HandlerOperand.refusal(handler) { return status }
        // Each handler may take its start_timeout for each of its routes.
        return RunningGateway.ask(.reload(arguments.operands.first), arguments, seconds: 600)
    }
}

/// The HANDLER of a command line.
enum HandlerOperand {
    /// The exit status after saying that this is no name of a handler; nil when it could be one.
    static func refusal(_ word: String) -> Int32? {
        if ControlCommand.isHandlerName(word) { return nil }
        Terminal.complain(
            "error: this is no name of a handler\n"
                + "   HANDLER is what `handler` in gateway.conf names, such as echo, not a path or a file.")
        return ExitStatus.usage
    }
}
