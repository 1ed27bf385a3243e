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
// The process of an isolated handler.
if CommandLine.arguments.count == 4, CommandLine.arguments[1] == HandlerProcess.option {
    exit(HandlerCommand.run(handler: CommandLine.arguments[2], file: CommandLine.arguments[3]))
}
// A new program before it takes over.
if CommandLine.arguments.count > 1, CommandLine.arguments[1] == Rehearsal.option {
    exit(RehearseCommand.run(Array(CommandLine.arguments.dropFirst(2))))
}
// What is left of a gateway whose place another program has taken.
if CommandLine.arguments.count == 4, CommandLine.arguments[1] == WatchOver.option {
    exit(WatchOverCommand.run(process: CommandLine.arguments[2], descriptor: CommandLine.arguments[3]))
}
exit(CommandLineTool.run(Array(CommandLine.arguments.dropFirst())))
