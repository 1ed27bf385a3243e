internal import CGatewayABI

/// Keeps a handler from being stopped, for as long as this exists: for threads of its own, or a library that calls back.
///
/// Once a reload has replaced the handler and its last connection has gone, `stop` waits until every hold has gone, too;
/// what was held for may go on using `Gateway` and `Connection`. No limit of time ends a hold, so one that is kept for
/// ever keeps the old generation for ever. The end of the gateway alone does not wait for it. [any]
public final class Hold: Sendable {
    private let host: Host

    /// Nil when the instance is being stopped.
    init?(_ host: Host) {
        guard let hold = unsafe host.table.pointee.hold, unsafe hold(host.table, host.instance) >= 0 else { return nil }
        self.host = host
    }

    deinit {
        if let release = unsafe host.table.pointee.release { _ = unsafe release(host.table, host.instance) }
    }
}

extension Gateway {
    /// Keeps the handler from being stopped while the result exists; `nil` when `stop` is on its way already. [any]
    public func hold() -> Hold? { Hold(host) }
}
