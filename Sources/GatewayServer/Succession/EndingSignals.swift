import Glibc

/// Signals that ask for the end, where a process watches over this one. One that is sent to all processes of a service comes
/// twice: directly, and handed on by the process that watches. That is one request, not the second one, which ends the
/// gateway at once.
struct EndingSignals {
    private var direct = 0
    private var handedOn = 0

    /// Counts a signal.
    ///
    /// - Parameter sender: of the signal, and the process that watches; nil where none does.
    /// - Returns: whether it is what has come by the other way already.
    mutating func isEcho(from sender: pid_t, watcher: pid_t?) -> Bool {
        if sender == watcher {
            handedOn += 1
            return handedOn <= direct
        }
        direct += 1
        return direct <= handedOn
    }
}
