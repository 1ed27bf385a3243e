import CLinux
import GatewayServer
import Glibc

guard clinux_open_standard_descriptors() == 0 else { exit(ExitStatus.failure) }
// A probe process is the gateway started by itself; everything else is the command line's affair.
if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "--probe" {
    Server.probe(CommandLine.arguments[2])
}
// So is the gateway that serves a handler under trial (`gateway test`); only the trial has a use for it.
if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "--trial" {
    guard clinux_end_with_parent() == 0 else { exit(ExitStatus.failure) }
    exit(CommandLineTool.run(["run", "-c", CommandLine.arguments[2]]))
}
exit(CommandLineTool.run(Array(CommandLine.arguments.dropFirst())))
