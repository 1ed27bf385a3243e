/// `gateway completion` and `gateway man`: texts for other programs, made from what this one knows of itself.
enum PrintCommand {
    static func completion(_ arguments: Arguments) -> Int32 {
        guard let name = arguments.operands.first, let shell = Shell(rawValue: name) else {
            return refuse("completion", Shell.allCases.map(\.rawValue))
        }
        Terminal.show(shell.completion)
        return ExitStatus.ok
    }

    static func manual(_ arguments: Arguments) -> Int32 {
        guard let page = ManualPage(rawValue: arguments.operands.first ?? ManualPage.gateway.rawValue) else {
            return refuse("man", ManualPage.allCases.map(\.rawValue))
        }
        Terminal.show(page.text)
        return ExitStatus.ok
    }

    private static func refuse(_ command: String, _ known: [String]) -> Int32 {
        Terminal.complain(
            "error: \"\(command)\" takes \(known.joined(separator: " or "))\n"
                + "       `gateway \(command) --help` shows how it is used")
        return ExitStatus.usage
    }
}
