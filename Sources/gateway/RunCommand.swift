import GatewayServer

/// `gateway run`: serve in the foreground.
enum RunCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let configuration = ConfigurationFile.load(arguments.file) else { return ExitStatus.configuration }
        do throws(Server.Failure) {
            try Server(configuration).run()
            return ExitStatus.ok
        } catch {
            Terminal.complain("error: \(error)")
            return error.isConfiguration ? ExitStatus.configuration : ExitStatus.failure
        }
    }
}
