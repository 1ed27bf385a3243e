import GatewayConfiguration
import GatewayServer
import HandlerTrial

/// `gateway test`: tries a handler.
enum TestCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let file = arguments.operands.first else { return ExitStatus.usage }
        var plan = TrialPlan(file: file)
        if let route = arguments.values["--route"]?.last {
            do throws(RoutePattern.Failure) {
                _ = try RoutePattern(route)
            } catch {
                Terminal.complain("error: the route \(error.sentence)")
                return ExitStatus.usage
            }
            plan.route = route
        }
        for setting in arguments.values["--set"] ?? [] {
            let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                Terminal.complain("error: --set needs KEY=VALUE")
                return ExitStatus.usage
            }
            plan.settings.append(TrialPlan.Setting(key: String(parts[0]), value: String(parts[1])))
        }
        plan.isSecure = arguments.flags.contains("--tls")
        plan.deflates = arguments.flags.contains("--deflate")
        let report = Trial.run(plan)
        Terminal.show(arguments.isJSON ? report.json : report.text)
        return report.isGood ? ExitStatus.ok : ExitStatus.failure
    }
}
