import GatewayControl
import GatewayServer

/// `gateway stop` and `gateway drain`: the two graceful ends; both wait until the gateway answers.
enum StopCommand {
    static func stop(_ arguments: Arguments) -> Int32 {
        RunningGateway.ask(.stop(spread(arguments)), arguments, seconds: nil)
    }

    static func drain(_ arguments: Arguments) -> Int32 {
        RunningGateway.ask(.drain(spread(arguments)), arguments, seconds: nil)
    }

    /// `--spread`, whose duration was looked at when it was read.
    private static func spread(_ arguments: Arguments) -> ControlCommand.Spread? {
        arguments.values["--spread"]?.last.map { ControlCommand.Spread($0) ?? .drainTimeout }
    }
}
