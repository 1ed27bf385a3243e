/// What a connection of a route may cost: every number has a name in gateway.conf, a default and a unit.
package struct Limits: Sendable, Equatable {
    /// What happens to a peer that does not read what is sent to it.
    package enum SlowConsumer: String, Sendable, CaseIterable {
        /// The connection is closed with 1013.
        case close
        /// It does not get what is sent then.
        case dropNew = "drop_new"
        /// It does not get the oldest whole messages that wait.
        case dropOld = "drop_old"
        /// It is not read from while it does not read, and does not get what is sent beyond `send_buffer`.
        case pauseReads = "pause_reads"
    }

    /// What happens to the connections of a route when its handler is replaced.
    package enum ReloadPolicy: String, Sendable, CaseIterable {
        /// Connections move where both generations can hand over their state, and drain otherwise.
        case automatic = "auto"
        /// Connections move; a new generation that cannot take the state is refused.
        case migrate
        /// Connections stay with the generation they have until they end, at most `drain_timeout`.
        case drain
        /// Connections are closed with 1012, spread over a while, and come back to the new generation.
        case close
        /// A loaded handler stays as it is until the gateway is started again.
        case off
    }

    /// Which threads the callbacks of a route's connections run on.
    package enum Dispatch: String, Sendable, CaseIterable {
        /// Threads of the event loops: nothing is faster, and no callback may block.
        case loop
        /// Threads beside the loops: in order for each connection, and each may block.
        case pool
    }

    /// How far the topics of a route reach.
    package enum Topics: String, Sendable, CaseIterable {
        /// To the members on all gateways that `cluster` joins.
        case cluster
        /// To the members here.
        case local
    }

    /// When a fresh generation is given up for the one before it.
    package struct Probation: Sendable, Equatable {
        /// How many errors of callbacks are too many when the operator does not say.
        package static let defaultErrors = 10

        /// How long a generation is on probation after it has gone live.
        package var milliseconds: Int64
        /// More errors of callbacks than this, and the generation before is made current again.
        package var errors: Int

        package init(milliseconds: Int64, errors: Int = Self.defaultErrors) {
            self.milliseconds = milliseconds
            self.errors = errors
        }
    }

    /// How messages are compressed (RFC 7692), where the client can do it.
    package struct Compression: Sendable, Equatable {
        package enum Mode: String, Sendable, CaseIterable {
            case off
            /// Each message may refer to the ones before it: smaller, and every connection keeps two windows.
            case on
            /// Each message stands for itself, in both directions: connections keep nothing.
            case withoutContext = "no-context-takeover"
        }

        package var mode = Mode.off
        /// `level`: from 0, fastest, to 9, smallest.
        package var level = 1
        /// `threshold`: a message of so many bytes is compressed, one below is not.
        package var thresholdBytes = 256
        /// `window`: the largest window, as a power of two.
        package var windowBits = 15
        /// `memory`: bytes that the windows of all connections of the route may take; above, new ones keep none.
        package var memoryBytes = 64 << 20

        /// The defaults.
        package init() {}
    }

    /// `max_message`: bytes of one incoming message after joining its fragments; above, 1009.
    package var maxMessageBytes = 1 << 20
    /// `max_frame`: bytes of one incoming frame; never more than `max_message`, and equal to it when it is not set.
    package var maxFrameBytes = 1 << 20
    /// `max_body`: bytes of the body of a plain HTTP request; above, 413.
    package var maxBodyBytes = 64 << 10
    /// `ping_interval`: how often a peer is sent a ping, whatever else it says; nil = never.
    package var pingIntervalMilliseconds: Int64? = 30_000
    /// `pong_timeout`: how long the answer to a ping may take; nil = for ever. Always nil without pings.
    package var pongTimeoutMilliseconds: Int64? = 20_000
    /// `idle_timeout`: how long a connection may stay without a message, pings do not count; nil = for ever.
    package var idleTimeoutMilliseconds: Int64?
    /// `close_timeout`: how long the peer's half of the closing handshake is waited for.
    package var closeTimeoutMilliseconds: Int64 = 5_000
    /// `write_timeout`: how long output may wait without any of it being taken; nil = for ever.
    package var writeTimeoutMilliseconds: Int64? = 60_000
    /// `send_buffer`: bytes that may wait for a peer to read them.
    package var sendBufferBytes = 1 << 20
    /// `slow_consumer`: what happens above `send_buffer`.
    package var slowConsumer = SlowConsumer.close
    /// `start_timeout`: how long a handler may take to start.
    package var startTimeoutMilliseconds: Int64 = 10_000
    /// `reply_timeout`: how long a handler may think about an upgrade or a plain request; above, 504.
    package var replyTimeoutMilliseconds: Int64 = 10_000
    /// `origin`: which pages may connect.
    package var origin = OriginPolicy()
    /// `allow` and `deny`: which addresses may connect.
    package var addresses = AddressList()
    /// `compression`: how messages are compressed.
    package var compression = Compression()
    /// `callback_stall`: a callback that blocks a loop for longer is told of; nil = none is.
    package var callbackStallMilliseconds: Int64? = 100
    /// `log_level`: the least important line that is written of what the handler logs there; nil = as `error_log` says.
    package var logLevel: Configuration.LogLevel?
    /// `dispatch`: which threads callbacks run on.
    package var dispatch = Dispatch.loop
    /// `isolation`, `checkpoint`, `crash` and `recycle`: which process callbacks run in.
    package var isolation = Isolation()
    /// `topics`: how far the topics of the route reach.
    package var topics = Topics.cluster
    /// `reload`: what happens to the connections of the route when its handler is replaced.
    package var reload = ReloadPolicy.automatic
    /// `drain_timeout`: how long connections may stay with a generation that was replaced; above, 1012.
    package var drainTimeoutMilliseconds: Int64 = 60_000
    /// `probation`: when a fresh generation is given up for the one before it; nil = never.
    package var probation: Probation?

    package init() {}
}

/// What a peer may cost before its route is known.
package struct HandshakeLimits: Sendable, Equatable {
    /// `handshake_timeout`: from accepting to the end of the request head, however slowly bytes come; above, 408.
    package var timeoutMilliseconds: Int64 = 10_000
    /// `max_head`: bytes of a request head; above, 431.
    package var maxHeadBytes = 16 << 10
    /// `max_headers`: header lines of a request head; above, 431.
    package var maxHeaders = 100

    package init() {}
}
