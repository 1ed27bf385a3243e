import GatewayControl
import GatewayServer

/// `gateway stop` and `gateway drain`: the two graceful ends; both wait until the gateway answers.
enum StopCommand {
    static func stop(_ arguments: Arguments) -> Int32 { RunningGateway.ask(.stop, arguments, seconds: nil) }

    static func drain(_ arguments: Arguments) -> Int32 { RunningGateway.ask(.drain, arguments, seconds: nil) }
}
