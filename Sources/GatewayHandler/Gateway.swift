/// What a handler may ask of the gateway outside its connections; from `StartContext` or `Connection.gateway`.
///
/// `Sendable`, and usable from every thread.
public struct Gateway: Sendable {
    let host: Host

    init(_ host: Host) {
        self.host = host
    }

    /// The version of the gateway.
    public var version: String {
        guard let version = unsafe host.table.pointee.version else { return "" }
        return unsafe String(cString: version)
    }

    /// Which loaded copy of the module this is: 1, 2, 3 and so on.
    public var generation: UInt64 { unsafe host.table.pointee.generation }

    /// A monotonic clock, cheap to read.
    public var now: Duration {
        guard let now = unsafe host.table.pointee.now_ns else { return .zero }
        return .nanoseconds(Int64(clamping: unsafe now(host.table)))
    }

    /// The connections that are open now on the handler's route.
    public var connections: [Connection] {
        host.connections().map { Connection($0, host) }
    }

    /// Writes a line to the gateway's error log.
    public func log(_ level: LogLevel, _ text: String) {
        host.log(0, level, text)
    }
}
