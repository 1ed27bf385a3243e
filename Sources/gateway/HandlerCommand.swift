import CLinux
import GatewayConfiguration
import GatewayIO
import GatewayServer

/// `gateway --handler NAME FILE`: the process of an isolated handler, which the first process starts. It finds the way there,
/// and the configuration that is in effect, behind descriptors. Nobody types it.
enum HandlerCommand {
    static func run(handler: String, file: String) -> Int32 {
        guard clinux_end_with_parent() == 0 else { return ExitStatus.failure }
        var succession = SuccessionEnvironment.take()
        for trouble in succession.troubles { Terminal.complain("warning: \(trouble)") }
        guard succession.isHandlerProcess else {
            Terminal.complain("error: this is what the gateway starts by itself, for a route with `isolation process`")
            return ExitStatus.usage
        }
        guard let configuration = configuration(handler, file, &succession) else { return ExitStatus.configuration }
        guard clinux_block_signals() == 0 else {
            Terminal.complain("error: cannot block signals")
            return ExitStatus.failure
        }
        do throws(Server.Failure) {
            try Server(configuration, succession: succession).run()
            Log.finish()
            return ExitStatus.ok
        } catch {
            Log.finish()
            // The first process says it to people.
            return ExitStatus.failure
        }
    }

    private static func configuration(
        _ handler: String, _ file: String, _ succession: inout SuccessionEnvironment
    ) -> Configuration? {
        do throws(Errno) {
            let text = try succession.readConfiguration()
            do throws(ConfigurationError) {
                return try Configuration.parse(text, file: file).configuration.only(handler)
            } catch {
                Terminal.complain(
                    "error: the configuration of the first process is not understood:\n\(error.rendered())")
            }
        } catch {
            Terminal.complain("error: the configuration of the first process cannot be read: \(error)")
        }
        return nil
    }
}
