import GatewayControl
import GatewayMetrics

extension StatusReport.Traffic {
    /// What the instances of a route have counted together.
    init(_ readings: [TrafficReading]) {
        self.init()
        for reading in readings {
            opened &+= reading.opened
            closed &+= reading.closes.values.reduce(0, &+)
            received.messages &+= reading.received.text &+ reading.received.binary
            received.bytes &+= reading.received.bytes
            sent.messages &+= reading.sent.text &+ reading.sent.binary
            sent.bytes &+= reading.sent.bytes
        }
        callbacks = StatusReport.Durations(readings.flatMap { $0.callbacks.values })
    }
}

extension StatusReport.Durations {
    /// All of them together; nil of none.
    init?(_ readings: [HistogramReading]) {
        guard var sum = readings.first else { return nil }
        for reading in readings.dropFirst() { sum.add(reading) }
        self.init(bounds: sum.bounds, counts: sum.counts)
    }
}
