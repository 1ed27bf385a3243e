import GatewayControl
import GatewayMetrics
import Synchronization

extension Server {
    /// Everything that is counted, as it is now.
    func metrics() -> [MetricFamily] {
        let traffic = TrafficMetrics(context.counters.all, waiting: waitingBytes())
        let handlers = handlerManager.handlerReports { watch?.isSettling($0) ?? false }
        return traffic.families + handshakeMetrics() + HandlerMetrics.families(handlers, handlerManager)
            + CostMetrics.families(handlerManager.routing.routes, context.memory) + configurationMetrics()
            + compressionMetrics() + workerMetrics() + processMetrics()
            + ClusterMetrics.families(context.cluster)
            + HandlerMetrics.own(context.metrics.samples() + handlerManager.isolated.flatMap(\.samples))
    }

    /// Bytes that wait for peers, by route, handler and generation.
    private func waitingBytes() -> [InstanceCounters.Name: UInt64] {
        var waiting: [InstanceCounters.Name: UInt64] = [:]
        for port in context.ports {
            port.sharedTable.waiting { name, bytes in waiting[name, default: 0] &+= UInt64(bytes) }
        }
        return waiting
    }

    private func handshakeMetrics() -> [MetricFamily] {
        [
            MetricFamily(
                "gateway_handshakes_rejected_total", .counter,
                help: "Requests that were not served, by the code word that their answer has.",
                samples: context.rejections.all.map { .init([.init("reason", $0.word)], .count($0.count)) }),
            MetricFamily(
                "gateway_tls_handshakes_total", .counter,
                help: "Handshakes of TLS that have ended; peers that left without a word are none.",
                samples: context.tlsHandshakes.all.map { kind, count in
                    .init(
                        [
                            .init("version", kind.version), .init("resumed", "\(kind.isResumed)"),
                            .init("result", kind.isOpen ? "ok" : "failed"),
                        ], .count(count))
                }),
            MetricFamily(
                "gateway_tls_certificate_expiry_seconds", .gauge, unit: "seconds",
                help: "When a certificate ends, in seconds since 1970; by the first host that it is for, and its file.",
                samples: Listeners.certificates(listeners.entries).map {
                    .init([.init("name", $0.name), .init("file", $0.file)], .number(Double($0.expiresAt)))
                }),
        ]
    }

    private func configurationMetrics() -> [MetricFamily] {
        [
            MetricFamily(
                "gateway_build_info", .info, help: "The version of the gateway.",
                samples: [.init([.init("version", GatewayVersion.text)], .count(1))]),
            MetricFamily(
                "gateway_config_last_reload_success", .gauge,
                help: "1 when gateway.conf is in effect as it was read last, 0 when it was refused then.",
                samples: [.init(.count(configurationReload?.isAccepted ?? true ? 1 : 0))]),
            MetricFamily(
                "gateway_ready", .gauge, help: "1 when /readyz answers 200.",
                samples: [.init(.count(unreadiness().isEmpty ? 1 : 0))]),
            MetricFamily(
                "gateway_log_dropped_total", .counter,
                help: "Lines of the logs that nobody read in time, or that a disk did not take.",
                samples: [.init(.count(LogFiles.droppedLines))]),
        ]
    }

    private func compressionMetrics() -> [MetricFamily] {
        var samples: [MetricFamily.Sample] = []
        for route in handlerManager.routing.routes {
            guard let report = route.compressionReport else { continue }
            for (direction, counts) in [("received", report.received), ("sent", report.sent)] {
                for (form, bytes) in [("plain", counts.plainBytes), ("compressed", counts.compressedBytes)] {
                    samples.append(
                        .init(
                            [
                                .init("route", route.name), .init("handler", route.handler),
                                .init("direction", direction), .init("form", form),
                            ], .count(bytes)))
                }
            }
        }
        return [
            MetricFamily(
                "gateway_compression_bytes_total", .counter, unit: "bytes",
                help: "Bytes of messages that came or went compressed: before (plain) and after (compressed).",
                samples: samples)
        ]
    }

    private func workerMetrics() -> [MetricFamily] {
        let now = context.clock()
        func samples(_ value: (WorkerPort) -> MetricFamily.Value) -> [MetricFamily.Sample] {
            context.ports.map { .init([.init("worker", "\($0.index)")], value($0)) }
        }
        return [
            MetricFamily(
                "gateway_worker_peers", .gauge,
                help: "Peers of a worker, those included that have not asked for anything yet.",
                // Above 32 bits stands the mark of a worker that cannot work.
                samples: samples { .count(UInt64(clamping: $0.load.load(ordering: .relaxed) & 0xFFFF_FFFF)) }),
            MetricFamily(
                "gateway_worker_loop_lag_seconds", .histogram, unit: "seconds",
                help: "How long a worker took to come to a question that it is asked each second.",
                samples: samples { .histogram($0.lag.reading) }),
            MetricFamily(
                "gateway_worker_unresponsive_seconds", .gauge, unit: "seconds",
                help: "For how long a worker has not come to that question; a callback that blocks is what keeps it.",
                samples: samples { .number($0.lag.waiting(at: now)) }),
        ]
    }

    private func processMetrics() -> [MetricFamily] {
        func family(
            _ name: String, _ kind: MetricFamily.Kind, _ unit: String?, _ help: String, _ value: MetricFamily.Value?
        ) -> MetricFamily {
            MetricFamily(name, kind, unit: unit, help: help, samples: value.map { [.init($0)] } ?? [])
        }
        let usage = ProcessUsage()
        return [
            family(
                "process_cpu_seconds_total", .counter, "seconds", "Processor time of the process.",
                usage.map { .number($0.cpuSeconds) }),
            family(
                "process_open_fds", .gauge, nil, "Descriptors that are open.",
                usage.map { .count(UInt64($0.openDescriptors)) }),
            family(
                "process_max_fds", .gauge, nil, "Descriptors that may be open.",
                usage?.mostDescriptors.map { .count($0) }),
            family(
                "process_virtual_memory_bytes", .gauge, "bytes", "Address space of the process.",
                usage.map { .count($0.virtualBytes) }),
            family(
                "process_virtual_memory_max_bytes", .gauge, "bytes", "Address space that it may have.",
                usage?.mostVirtualBytes.map { .count($0) }),
            family(
                "process_resident_memory_bytes", .gauge, "bytes", "Memory of the process.",
                usage.map { .count($0.residentBytes) }),
            family(
                "process_start_time_seconds", .gauge, "seconds", "When the process began, in seconds since 1970.",
                usage.map { .number($0.startedAt) }),
            family(
                "process_threads", .gauge, nil, "Threads of the process.", usage.map { .count(UInt64($0.threads)) }),
        ]
    }
}
