import GatewayConfiguration
import GatewayServer

/// `gateway check` and `-T`: what would be served, without serving it.
enum CheckCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let configuration = check(arguments) else { return ExitStatus.configuration }
        Terminal.show("\(configuration.file): fine, \(count(configuration.routes.count, "route"))\n")
        return ExitStatus.ok
    }

    /// The configuration that could be served; nil after saying what is wrong with it, or with a handler.
    static func check(_ arguments: Arguments) -> Configuration? {
        guard let configuration = ConfigurationFile.load(arguments.file) else { return nil }
        let certificates = ListenerCertificates.findings(configuration)
        let troubles =
            ServiceUser.troubles(configuration) + StateFolders.troubles(configuration) + certificates.troubles
            + AdminCheck.troubles(configuration) + ClusterLine.troubles(configuration)
            + HandlerCheck.troubles(configuration)
        for finding in certificates.warnings + troubles { Terminal.complain(finding) }
        guard troubles.isEmpty else {
            Terminal.complain("\(configuration.file): \(count(troubles.count, "problem"))")
            return nil
        }
        return configuration
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }

    static func printConfiguration(_ arguments: Arguments) -> Int32 {
        guard let configuration = ConfigurationFile.load(arguments.file) else { return ExitStatus.configuration }
        Terminal.show(configuration.effectiveText())
        return ExitStatus.ok
    }
}
