import Glibc

/// Signals to the process of a handler. Its end is for the first process to say: what a terminal sends to all of them (Ctrl-C,
/// SIGHUP), or a service manager, is heard there, and not twice.
extension FirstProcess {
    func hear(_ signal: Int32) {
        switch signal {
        // Whoever means this process alone has it replaced: its connections go over to the next one.
        case SIGTERM: askForRelief()
        case SIGUSR1: LogFiles.reopen()
        default: break
        }
    }
}
