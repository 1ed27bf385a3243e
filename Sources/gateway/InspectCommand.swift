import GatewayServer
import HandlerModules

/// `gateway inspect`: what a module is, without running any of it.
enum InspectCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let path = arguments.operands.first else { return ExitStatus.usage }
        do throws(SystemError) {
            let report = ModuleReport(try ModuleFacts(path: path))
            Terminal.show(report.text)
            guard let refusal = report.refusal else { return ExitStatus.ok }
            Terminal.complain(refusal)
        } catch {
            Terminal.complain("error: \(path): \(SystemError.text(error.code))")
        }
        return ExitStatus.failure
    }
}
