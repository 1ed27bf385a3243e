import GatewayMetrics

/// What is counted of connections, by route, handler and generation.
struct TrafficMetrics {
    private let readings: [(labels: [MetricFamily.Label], reading: TrafficReading, waiting: UInt64)]

    init(_ counters: [InstanceCounters], waiting: [InstanceCounters.Name: UInt64]) {
        readings = counters.map {
            let name = $0.name
            return (
                [
                    .init("route", name.route), .init("handler", name.handler),
                    .init("generation", "\(name.generation)"),
                ], $0.reading, waiting[name] ?? 0
            )
        }
    }

    private func samples(
        _ values: (TrafficReading) -> [(labels: [MetricFamily.Label], value: MetricFamily.Value)]
    ) -> [MetricFamily.Sample] {
        readings.flatMap { labels, reading, _ in values(reading).map { .init(labels + $0.labels, $0.value) } }
    }

    private func counts(_ value: (TrafficReading) -> UInt64) -> [MetricFamily.Sample] {
        samples { [([], .count(value($0)))] }
    }

    private func kinds(_ direction: (TrafficReading) -> TrafficReading.Direction) -> [MetricFamily.Sample] {
        samples {
            let counts = direction($0)
            return [
                ([.init("type", "text")], .count(counts.text)), ([.init("type", "binary")], .count(counts.binary)),
            ]
        }
    }

    var families: [MetricFamily] { connections + messages + durations }

    private var connections: [MetricFamily] {
        [
            MetricFamily(
                "gateway_connections", .gauge, help: "WebSocket connections that are open or closing.",
                samples: counts(\.open)),
            MetricFamily(
                "gateway_connections_opened_total", .counter, help: "Opening handshakes that were answered with 101.",
                samples: counts(\.opened)),
            MetricFamily(
                "gateway_connections_closed_total", .counter,
                help: "Connections that have ended, by close code (3xxx and 4xxx together) and by who ended them.",
                samples: samples { reading in
                    reading.closes.sorted { ($0.key.code, $0.key.initiator) < ($1.key.code, $1.key.initiator) }.map {
                        ([.init("code", $0.key.code), .init("initiator", $0.key.initiator)], .count($0.value))
                    }
                }),
            MetricFamily(
                "gateway_state_migrations_total", .counter,
                help: "Connections at the replacement of their handler: moved to this generation, refused by it or the"
                    + " one before, or closed with 1012 (of this one).",
                samples: samples {
                    [
                        ([.init("result", "moved")], .count($0.moved)),
                        ([.init("result", "refused")], .count($0.refused)),
                        ([.init("result", "closed")], .count($0.abandoned)),
                    ]
                }),
        ]
    }

    private var messages: [MetricFamily] {
        [
            MetricFamily(
                "gateway_messages_received_total", .counter, help: "Messages that came, fragments joined.",
                samples: kinds(\.received)),
            MetricFamily(
                "gateway_messages_sent_total", .counter,
                help: "Messages that were queued for peers; a publication counts once for each.", samples: kinds(\.sent)
            ),
            MetricFamily(
                "gateway_received_bytes_total", .counter, unit: "bytes",
                help: "Bytes of frames that came; neither the handshake nor TLS.",
                samples: counts(\.received.bytes)),
            MetricFamily(
                "gateway_sent_bytes_total", .counter, unit: "bytes",
                help: "Bytes of frames that the kernel has taken; neither the handshake nor TLS.",
                samples: counts(\.sent.bytes)),
            MetricFamily(
                "gateway_send_queue_bytes", .gauge, unit: "bytes", help: "Bytes of frames that wait for slow peers.",
                samples: readings.map { .init($0.labels, .count($0.waiting)) }),
        ]
    }

    private var durations: [MetricFamily] {
        [
            MetricFamily(
                "gateway_handshake_duration_seconds", .histogram, unit: "seconds",
                help: "From the whole head of a request to its 101: the gateway's part and the handler's.",
                samples: samples { [([], .histogram($0.handshakes))] }),
            MetricFamily(
                "gateway_callback_duration_seconds", .histogram, unit: "seconds",
                help:
                    "How long callbacks took. Of messages, one of each worker every 32 ms is looked at, so the count is"
                    + " no number of messages; of other callbacks, and with dispatch pool, all are.",
                samples: samples { reading in
                    reading.callbacks.sorted { $0.key < $1.key }.map {
                        ([.init("callback", $0.key)], .histogram($0.value))
                    }
                }),
            MetricFamily(
                "gateway_ping_rtt_seconds", .histogram, unit: "seconds",
                help: "From a ping of ours to its pong, the peer's time included.",
                samples: samples { [([], .histogram($0.roundTrips))] }),
        ]
    }
}
