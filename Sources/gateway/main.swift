import GatewayServer
import Glibc

// A probe process is the gateway started by itself; everything else is the command line's affair.
if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "--probe" {
    Server.probe(CommandLine.arguments[2])
}
exit(CommandLineTool.run(Array(CommandLine.arguments.dropFirst())))
