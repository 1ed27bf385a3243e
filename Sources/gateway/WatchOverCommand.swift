import CLinux
import GatewayIO
import GatewayServer
import Glibc

/// `gateway --watch-over PID FD`: what a gateway becomes whose place another program has taken. Nobody types it.
enum WatchOverCommand {
    static func run(process: String, descriptor: String) -> Int32 {
        guard let process = pid_t(process), process > 0, let number = Int32(descriptor) else {
            Terminal.complain("error: \(WatchOver.option) takes the number of a process, and that of a descriptor")
            return ExitStatus.usage
        }
        guard let socket = DescriptorSocket(inherited: number) else {
            Terminal.complain("error: descriptor \(number) is not the way to a program of the gateway")
            return ExitStatus.usage
        }
        var end = unsafe siginfo_t()
        guard unsafe waitid(P_PID, id_t(process), &end, WEXITED | WNOHANG | WNOWAIT) == 0 else {
            Terminal.complain("error: process \(process) is no child of this one")
            return ExitStatus.usage
        }
        guard clinux_block_signals() == 0 else {
            Terminal.complain("error: cannot block signals")
            return ExitStatus.failure
        }
        WatchOver.run(process, socket, name: "gateway watch")
    }
}
