import GatewayMetrics

/// What all workers have counted of one instance, at one moment.
struct TrafficReading: Sendable {
    struct Direction: Sendable, Equatable {
        var text: UInt64 = 0
        var binary: UInt64 = 0
        var bytes: UInt64 = 0

        fileprivate mutating func add(_ other: Direction) {
            text &+= other.text
            binary &+= other.binary
            bytes &+= other.bytes
        }
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

    mutating func add(_ other: TrafficReading) {
        received.add(other.received)
        sent.add(other.sent)
        opened &+= other.opened
        open &+= other.open
        moved &+= other.moved
        refused &+= other.refused
        abandoned &+= other.abandoned
        closes.merge(other.closes, uniquingKeysWith: &+)
        handshakes.add(other.handshakes)
        roundTrips.add(other.roundTrips)
        callbacks.merge(other.callbacks) { sum, more in
            var sum = sum
            sum.add(more)
            return sum
        }
    }
}
