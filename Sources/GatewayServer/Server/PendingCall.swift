import CGatewayABI
import GatewayIO
import HandlerModules

/// A call into a handler whose answer is of no consequence but for a line of the log.
struct PendingCall {
    let call: TimedCall<gw_status>
    /// Monotonic nanoseconds; then it is said that it has not come back.
    let deadline: UInt64
    /// Whose call it is, for the line.
    let subject: String

    /// The line, where there is one; nil while the call may still come back.
    func complaint(_ now: UInt64) -> String?? {
        if let status = call.answer {
            return .some(status < 0 ? "\(subject): it answered \(StatusName.of(status))" : nil)
        }
        return now >= deadline ? .some("\(subject): still busy") : nil
    }
}
