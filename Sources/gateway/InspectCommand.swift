import GatewayControl
import GatewayServer

/// `gateway inspect`: what a module is, without running any of it.
enum InspectCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let path = arguments.operands.first else { return ExitStatus.usage }
        do throws(ModuleReport.Failure) {
            let report = try ModuleReport(ofFile: path)
            Terminal.show(report.text)
            guard let refusal = report.refusal else { return ExitStatus.ok }
            Terminal.complain(refusal)
        } catch {
            Terminal.complain("error: \(path): \(error.reason)")
        }
        return ExitStatus.failure
    }
}
