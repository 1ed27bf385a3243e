import GatewayControl

/// `gateway trace`: frames as they pass.
enum TraceCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let query = Narrowing.read(arguments, TraceQuery.init(_:form:)) else { return ExitStatus.usage }
        return RunningGateway.follow(.trace(query), arguments)
    }
}
