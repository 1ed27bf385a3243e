import CGatewayABI
import Synchronization

/// What host functions ask the callback queue of their thread: [conn] is checked, never UB.
extension CallbackQueue {
    /// Whether the running callback is one of this connection.
    func names(_ connection: gw_conn) -> Bool {
        connection != 0 && current.load(ordering: .relaxed) == connection
    }

    /// The running callback belongs to no connection yet.
    var namesNone: Bool { current.load(ordering: .relaxed) == 0 }

    func state(of connection: gw_conn) -> UnsafeMutableRawPointer? {
        guard names(connection), !isRestoring else { return nil }
        return unsafe state
    }

    func setState(of connection: gw_conn, _ next: UnsafeMutableRawPointer?) -> gw_status {
        guard names(connection) else { return Status.thread }
        // In restore_conn it is the state that the callback gives back that counts.
        if isRestoring { return Status.state }
        unsafe state = unsafe next
        return Status.ok
    }

    func request(of connection: gw_conn) -> UnsafePointer<gw_request>? {
        guard names(connection), let held = kept.withLock({ $0 }) else { return nil }
        // The callback queue keeps it for as long as callbacks of the connection run.
        return unsafe held.with { unsafe $0.record.request }
    }

    /// The handler closes a connection in one of its own callbacks: nothing comes behind that.
    func cutOff(_ connection: gw_conn) {
        if names(connection) { isCutOff.store(true, ordering: .releasing) }
    }

    /// - Returns: false when it is another connection that is meant.
    func setPaused(_ isPaused: Bool, _ connection: gw_conn) -> Bool {
        guard names(connection) else { return false }
        setPaused(isPaused)
        return true
    }
}
