import GatewayConfiguration
import GatewayServer

/// `gateway check` and `-T`: what would be served, without serving it.
enum CheckCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let configuration = ConfigurationFile.load(arguments.file) else { return ExitStatus.configuration }
        let troubles = Server.check(configuration)
        for trouble in troubles { Terminal.complain("error: \(trouble)") }
        guard troubles.isEmpty else {
            Terminal.complain("\(configuration.file): \(troubles.count) of the handlers cannot serve")
            return ExitStatus.configuration
        }
        Terminal.show("\(configuration.file): fine, \(configuration.routes.count) routes\n")
        return ExitStatus.ok
    }

    static func printConfiguration(_ arguments: Arguments) -> Int32 {
        guard let configuration = ConfigurationFile.load(arguments.file) else { return ExitStatus.configuration }
        Terminal.show(configuration.effectiveText())
        return ExitStatus.ok
    }
}
