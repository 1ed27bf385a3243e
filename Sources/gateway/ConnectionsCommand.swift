import GatewayControl
import Glibc

/// `gateway connections`: who is connected.
enum ConnectionsCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let query = Narrowing.read(arguments, ConnectionQuery.init(_:form:)) else { return ExitStatus.usage }
        return RunningGateway.ask(.connections(query), arguments, seconds: 30)
    }
}

/// The options of a command that the gateway is asked with.
enum Narrowing {
    /// Nil, and it has been said, when they cannot be followed.
    static func read<Query>(
        _ arguments: Arguments,
        _ make: (ControlOptions, ControlCommand.Form) throws(ControlCommand.Failure) -> Query
    ) -> Query? {
        var values: [String: String] = [:]
        for (name, given) in arguments.values { values[String(name.dropFirst(2))] = given.last }
        for flag in arguments.flags { values[String(flag.dropFirst(2))] = "" }
        if let id = arguments.operands.first { values["id"] = id }
        let form: ControlCommand.Form =
            if arguments.isJSON { .json } else { Terminal.hasColour(STDOUT_FILENO) ? .colour : .text }
        do throws(ControlCommand.Failure) {
            return try make(ControlOptions(values), form)
        } catch {
            let command = arguments.command?.rawValue ?? ""
            Terminal.complain("error: \(error.sentence)\n       `gateway \(command) --help` shows how it is used")
            return nil
        }
    }
}
