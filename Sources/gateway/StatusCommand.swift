import GatewayControl
import GatewayServer
import Glibc

/// `gateway status`: what is served, by which generation, to how many.
enum StatusCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        let form: ControlCommand.Form =
            if arguments.isJSON { .json } else { Terminal.hasColour(STDOUT_FILENO) ? .colour : .text }
        return RunningGateway.ask(.status(form), arguments, seconds: 30)
    }
}
