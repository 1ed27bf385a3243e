import GatewayControl
import GatewayServer

/// `gateway rollback`: back to the generation before the current one.
enum RollbackCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let handler = arguments.operands.first else { return ExitStatus.usage }
        return HandlerOperand.refusal(handler) ?? RunningGateway.ask(.rollback(handler), arguments, seconds: 600)
    }
}
