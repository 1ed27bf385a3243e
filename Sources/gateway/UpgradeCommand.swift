import GatewayControl
import Glibc

/// `gateway upgrade`: has the running gateway replace its own program, and shows how that goes on.
enum UpgradeCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        let file = arguments.operands.first.map { absolute($0) }
        guard arguments.flags.contains("--back") else {
            return RunningGateway.follow(.upgrade(file.map { .file($0) } ?? .installed), arguments)
        }
        guard file == nil else {
            Terminal.complain(
                "error: --back takes no FILE: it is the program before, whatever lies where that came from\n"
                    + "       `gateway upgrade --help` shows how it is used")
            return ExitStatus.usage
        }
        return RunningGateway.follow(.upgrade(.before), arguments)
    }

    /// The gateway has a working directory of its own.
    private static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let working = unsafe getcwd(nil, 0) else { return "/" + path }
        defer { unsafe free(working) }
        return unsafe String(cString: working) + "/" + path
    }
}
