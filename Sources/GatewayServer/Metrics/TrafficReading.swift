import GatewayMetrics

/// What all workers have counted of one instance, at one moment.
struct TrafficReading: Sendable {
    struct Direction: Sendable, Equatable {
        var text: UInt64 = 0
        var binary: UInt64 = 0
        var bytes: UInt64 = 0
    }

    var received = Direction()
    var sent = Direction()
    var opened: UInt64 = 0
    var open: UInt64 = 0
    var moved: UInt64 = 0
    var refused: UInt64 = 0
    var abandoned: UInt64 = 0
    var closes: [CloseCounters.Cause: UInt64] = [:]
    var handshakes = HistogramReading(bounds: DurationHistogram.Bounds.wait.seconds)
    var roundTrips = HistogramReading(bounds: DurationHistogram.Bounds.wait.seconds)
    /// By the name of the callback.
    var callbacks: [String: HistogramReading] = [:]
}
