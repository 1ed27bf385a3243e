import GatewayMetrics

/// A reading of traffic in a message: what `ProcessTally` has of a route.
extension TrafficReading {
    func put(_ writer: inout MessageFieldWriter) {
        for direction in [received, sent] {
            for count in [direction.text, direction.binary, direction.bytes] { writer.put(10, count) }
        }
        for count in [opened, open, moved, refused, abandoned] { writer.put(11, count) }
        // In a certain order, so that what is the same looks the same.
        for (cause, count) in closes.sorted(by: { ($0.key.code, $0.key.initiator) < ($1.key.code, $1.key.initiator) }) {
            var inner = MessageFieldWriter()
            inner.put(1, cause.code)
            inner.put(2, cause.initiator)
            inner.put(3, count)
            writer.put(12, inner.bytes)
        }
        writer.put(13, handshakes.bytes)
        writer.put(14, roundTrips.bytes)
        for (name, reading) in callbacks.sorted(by: { $0.key < $1.key }) {
            var inner = MessageFieldWriter()
            inner.put(1, name)
            inner.put(2, reading.bytes)
            writer.put(15, inner.bytes)
        }
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init()
        let (messages, counts) = (try fields.numbers(10), try fields.numbers(11))
        guard messages.count == 6, counts.count == 5 else { throw fields.failure("its counts are not all there") }
        received = Direction(text: messages[0], binary: messages[1], bytes: messages[2])
        sent = Direction(text: messages[3], binary: messages[4], bytes: messages[5])
        (opened, open, moved, refused, abandoned) = (counts[0], counts[1], counts[2], counts[3], counts[4])
        for bytes in fields.all(12) {
            let inner = try MessageFieldReader(bytes, of: "close")
            let cause = CloseCounters.Cause(
                code: try inner.demand(inner.text(1), 1), initiator: try inner.demand(inner.text(2), 2))
            closes[cause] = try inner.number(3)
        }
        handshakes = try HistogramReading(fields.bytes(13) ?? [], .wait)
        roundTrips = try HistogramReading(fields.bytes(14) ?? [], .wait)
        for bytes in fields.all(15) {
            let inner = try MessageFieldReader(bytes, of: "callback")
            callbacks[try inner.demand(inner.text(1), 1)] = try HistogramReading(inner.bytes(2) ?? [], .callback)
        }
    }
}

extension HistogramReading {
    fileprivate var bytes: [UInt8] {
        var writer = MessageFieldWriter()
        writer.put(1, sum.bitPattern)
        for count in counts { writer.put(2, count) }
        return writer.bytes
    }

    fileprivate init(
        _ bytes: ArraySlice<UInt8>, _ bounds: DurationHistogram.Bounds
    ) throws(SuccessionFailure) {
        let fields = try MessageFieldReader(bytes, of: "histogram")
        let (sum, counts): (UInt64, [UInt64]) = (try fields.number(1), try fields.numbers(2))
        guard counts.count == bounds.seconds.count + 1 else { throw fields.failure("it has other buckets") }
        self.init(bounds: bounds.seconds, counts: counts, sum: Double(bitPattern: sum))
    }
}
