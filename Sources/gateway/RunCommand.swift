import CLinux
import GatewayIO
import GatewayServer

/// `gateway run`: serve in the foreground.
enum RunCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        let environment = ServiceEnvironment.take()
        var succession = SuccessionEnvironment.take()
        for trouble in succession.troubles { Terminal.complain("warning: \(trouble)") }
        guard let configuration = ConfigurationFile.load(arguments.file) else { return ExitStatus.configuration }
        // Before there is a second thread, which may be a handler's: a signal is for the control thread to read, and
        // any thread that does not block it would let it end the process.
        guard clinux_block_signals() == 0 else {
            Terminal.complain("error: cannot block signals")
            return ExitStatus.failure
        }
        do throws(Errno) {
            try WatchOver.leaveProcessOne(&succession)
        } catch {
            Terminal.complain("error: process 1 cannot start the gateway as its child: \(error)")
            return ExitStatus.failure
        }
        do throws(Server.Failure) {
            try Server(configuration, environment: environment, succession: succession).run()
            Log.finish()
            return ExitStatus.ok
        } catch {
            Log.finish()
            Terminal.complain("error: \(error)")
            return error.isConfiguration ? ExitStatus.configuration : ExitStatus.failure
        }
    }
}
