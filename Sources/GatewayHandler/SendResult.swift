internal import CGatewayABI

/// What became of something a handler wanted to send.
///
/// Nothing has to be done about most of them: a connection that is `closed` gets its `closed` callback, once.
@frozen
public enum SendResult: Int32, Sendable, CaseIterable {
    /// Written, or queued below the high-water mark.
    case sent = 0
    /// Queued, but above the high-water mark: pause until `drained`.
    case backpressure = 1
    /// The connection is gone or closing; nothing was queued.
    case closed = -1
    /// The queue is full and the route's `slow_consumer` gave this message up; the connection lives.
    case dropped = -2
    /// A whole message while a fragmented one is still open; nothing was queued.
    case outOfTurn = -3
    /// Not allowed on the wire: a ping over 125 bytes, a close code such as 1005; nothing was queued.
    case invalid = -4
    /// Larger than the route allows; nothing was queued.
    case overLimit = -5
    /// The gateway is short of memory; nothing was queued.
    case outOfMemory = -6
    /// The gateway cannot do this.
    case unsupported = -7
    /// This generation of the module has been stopped.
    case retired = -9
    /// A reason this kit has no name for; nothing was queued.
    case refused = -11

    /// True when the gateway took it.
    @inlinable
    public var isAccepted: Bool { rawValue >= 0 }

    // Statuses grow with the ABI: a new one that worked is `sent`, a new one that did not is `refused`.
    @inlinable
    init(status: Int32) {
        // Nearly always: nothing has to be looked up.
        if status == 0 {
            self = .sent
        } else {
            self = SendResult(rawValue: status) ?? (status >= 0 ? .sent : .refused)
        }
    }
}
