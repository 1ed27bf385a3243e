internal import CGatewayABI

/// How a connection was doing at the moment it was asked.
public struct ConnectionFlow: Sendable {
    /// Bytes that wait to be written.
    public let queuedBytes: UInt64
    /// Above this many queued bytes a send answers `backpressure`.
    public let highWaterMark: UInt64
    /// Since the connection was opened.
    public let age: Duration
    /// Since the peer last sent anything.
    public let sinceReceived: Duration
    /// Since anything was last written to the peer.
    public let sinceSent: Duration
    /// Between the gateway's last ping and its pong; zero before the first.
    public let roundTripTime: Duration
    /// How many topics the connection is subscribed to.
    public let topics: UInt32
    /// False after `setReading(false)`.
    public let isReading: Bool
    /// True between the first fragment of a message and its last, in either direction.
    public let hasOpenMessage: Bool

    init(_ raw: gw_conn_info) {
        queuedBytes = raw.queued_bytes
        highWaterMark = raw.high_water
        age = .milliseconds(Int64(clamping: raw.age_ms))
        sinceReceived = .milliseconds(Int64(clamping: raw.last_in_ms))
        sinceSent = .milliseconds(Int64(clamping: raw.last_out_ms))
        roundTripTime = .microseconds(Int64(raw.rtt_us))
        topics = raw.topics
        isReading = raw.flags & 1 == 0
        hasOpenMessage = raw.flags & 2 != 0
    }
}
