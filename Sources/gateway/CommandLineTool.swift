import GatewayServer

/// The command line: finds out what is wanted and answers with an exit status.
enum CommandLineTool {
    static func run(_ words: [String]) -> Int32 {
        // A load generator has arguments of its own.
        if words.first == BenchCommand.name { return BenchCommand.run(Array(words.dropFirst())) }
        let arguments: Arguments
        do throws(Arguments.Failure) {
            arguments = try Arguments(words)
        } catch {
            let help = error.command.map { "gateway \($0.rawValue) --help" } ?? "gateway --help"
            Terminal.complain("error: \(error.sentence)\n       `\(help)` shows how it is used")
            return ExitStatus.usage
        }
        switch arguments.wish {
        case .help: Terminal.show(Help.text(of: arguments.command))
        case .version: Terminal.show("gateway \(GatewayVersion.text)\n")
        case .effectiveConfiguration: return CheckCommand.printConfiguration(arguments)
        case .work: return work(arguments)
        }
        return ExitStatus.ok
    }

    private static func work(_ arguments: Arguments) -> Int32 {
        switch arguments.command ?? .run {
        case .run: RunCommand.run(arguments)
        case .check: CheckCommand.run(arguments)
        case .status: StatusCommand.run(arguments)
        case .connections: ConnectionsCommand.run(arguments)
        case .trace: TraceCommand.run(arguments)
        case .reload: ReloadCommand.run(arguments)
        case .rollback: RollbackCommand.run(arguments)
        case .upgrade: UpgradeCommand.run(arguments)
        case .stop: StopCommand.stop(arguments)
        case .drain: StopCommand.drain(arguments)
        case .explain: ExplainCommand.run(arguments)
        case .inspect: InspectCommand.run(arguments)
        case .new: NewCommand.run(arguments)
        case .test: TestCommand.run(arguments)
        case .initialize: InitCommand.run(arguments)
        case .connect: ConnectCommand.run(arguments)
        case .top: TopCommand.run(arguments)
        case .devCert: DevCertCommand.run(arguments)
        case .completion: PrintCommand.completion(arguments)
        case .man: PrintCommand.manual(arguments)
        }
    }
}
