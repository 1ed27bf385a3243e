import GatewayIO
import GatewayServer
import Glibc

/// `gateway --rehearse ...`: what a new program does before it is let near a connection. The command line of the program
/// that serves follows, and on standard input comes a copy of what that would hand over. Nobody types it.
enum RehearseCommand {
    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Failure) {
            arguments = try Arguments(words)
        } catch {
            Terminal.complain(
                "error: the running gateway was started with words that this program does not take: \(error.sentence)")
            return ExitStatus.usage
        }
        guard arguments.wish == .work, (arguments.command ?? .run) == .run else {
            Terminal.complain("error: what is rehearsed is `gateway run`")
            return ExitStatus.usage
        }
        // First, since it takes no time.
        let troubles = Rehearsal.troubles(in: FileDescriptor(adopting: dup(STDIN_FILENO)))
        for trouble in troubles { Terminal.complain("error: \(trouble)") }
        guard troubles.isEmpty else { return ExitStatus.refused }
        guard CheckCommand.check(arguments) != nil else { return ExitStatus.configuration }
        Terminal.show(Rehearsal.answer + "\n")
        return ExitStatus.ok
    }
}
