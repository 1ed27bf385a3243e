extension StatusReport {
    /// The report as one line of JSON. Members are only ever added; `format` changes when one changes its meaning.
    package func json() -> String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("format", 1)
            writer.name("process")
            process.write(to: &writer, isDegraded: isDegraded)
            writer.member("reasons", reasons)
            writer.name("refusals")
            writer.object { writer in
                for refusal in refusals { writer.member(refusal.word, refusal.count) }
            }
            writer.member("listeners", listeners)
            writer.member("inherited_listeners", inheritedListeners)
            writer.name("certificates")
            writer.array(certificates) { $1.write(to: &$0) }
            writer.name("cluster")
            if let cluster { cluster.write(to: &writer) } else { writer.value(String?.none) }
            writer.name("routes")
            writer.array(routes) { $1.write(to: &$0) }
            writer.name("handlers")
            writer.array(handlers) { $1.write(to: &$0) }
            writer.name("metrics")
            writer.array(metrics) { $1.write(to: &$0) }
        }
        return writer.text
    }
}

extension StatusReport.Process {
    fileprivate func write(to writer: inout JSONWriter, isDegraded: Bool) {
        writer.object { writer in
            writer.member("pid", pid)
            writer.member("version", version)
            writer.member("state", isDegraded ? "degraded" : phase.rawValue)
            writer.member("started_at", Timestamp.iso(startedAt))
            writer.member("reported_at", Timestamp.iso(now))
            writer.member("uptime_ms", uptimeMilliseconds)
            writer.member("workers", workers)
            writer.name("worker_connections")
            writer.array(workerConnections) { $0.value($1) }
            writer.member("connections", connections)
            writer.member("max_connections", maxConnections)
            costs.write(to: &writer)
            writer.name("loop_lag")
            StatusReport.Durations.write(loopLag, to: &writer)
            writer.name("usage")
            if let usage { usage.write(to: &writer) } else { writer.value(String?.none) }
            writer.name("memory")
            if let memory { memory.write(to: &writer) } else { writer.value(String?.none) }
            writer.member("upgrade", upgrade)
            writer.member("configuration", configuration)
            writer.name("configuration_reload")
            guard let reload = configurationReload else { return writer.value(String?.none) }
            writer.object { writer in
                writer.member("at", Timestamp.iso(reload.at))
                writer.member("accepted", reload.isAccepted)
                writer.member("outcome", reload.outcome)
            }
        }
    }
}

extension StatusReport.Certificate {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("certificate", name)
            writer.member("file", file)
            writer.member("listeners", listeners)
            writer.member("expires_at", Timestamp.iso(expiresAt))
            writer.member("expiry_seconds", expiresAt)
        }
    }
}

extension StatusReport.Route {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("route", pattern)
            writer.member("host", host)
            writer.member("handler", handler)
            writer.member("state", unavailable == nil ? "serving" : "unavailable")
            writer.member("reason", unavailable)
            writer.member("connections", connections)
            writer.member("reload", reload)
            costs.write(to: &writer)
            writer.name("traffic")
            traffic.write(to: &writer)
            writer.name("compression")
            guard let compression else { return writer.value(String?.none) }
            writer.object { writer in
                writer.name("in")
                compression.received.write(to: &writer)
                writer.name("out")
                compression.sent.write(to: &writer)
            }
        }
    }
}

extension StatusReport.Traffic {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("opened", opened)
            writer.member("closed", closed)
            writer.member("messages_in", received.messages)
            writer.member("messages_out", sent.messages)
            writer.member("bytes_in", received.bytes)
            writer.member("bytes_out", sent.bytes)
            writer.name("callbacks")
            StatusReport.Durations.write(callbacks, to: &writer)
        }
    }
}

extension StatusReport.Durations {
    fileprivate static func write(_ durations: StatusReport.Durations?, to writer: inout JSONWriter) {
        guard let durations else { return writer.value(String?.none) }
        writer.object { writer in
            writer.name("bounds_seconds")
            writer.array(durations.bounds) { $0.value($1) }
            writer.name("counts")
            writer.array(durations.counts) { $0.value($1) }
        }
    }
}

extension StatusReport.Usage {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("cpu_ms", cpuMilliseconds)
            writer.member("resident_bytes", residentBytes)
        }
    }
}

extension StatusReport.Compression.Direction {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("plain_bytes", plainBytes)
            writer.member("compressed_bytes", compressedBytes)
            writer.name("ratio")
            writer.value(ratio ?? .nan)
            writer.member("time_us", nanoseconds / 1000)
        }
    }
}

extension StatusReport.Memory {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("held", held)
            writer.member("max", most)
            writer.member("refused", refused)
            writer.member("shed", shed)
        }
    }
}

extension StatusReport.Costs {
    /// As members of what the peers belong to.
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("write_timeouts", writeTimeouts)
        writer.name("slow_consumer")
        writer.object { writer in
            writer.member("close", closed)
            writer.member("drop_new", droppedNew)
            writer.member("drop_old", droppedOld)
            writer.member("pause_reads", pausedReads)
        }
    }
}

extension StatusReport.Handler {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("handler", name)
            writer.member("file", file)
            writer.member("trouble", trouble)
            writer.member("note", note)
            writer.member("state", state)
            writer.member("older_builds", olderBuilds)
            writer.name("generations")
            writer.array(generations) { $1.write(to: &$0) }
            writer.name("last_reload")
            if let lastReload { lastReload.write(to: &writer) } else { writer.value(String?.none) }
        }
    }
}

extension StatusReport.Generation {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("generation", number)
            writer.member("state", state.rawValue)
            writer.member("why", why)
            writer.member("since_ms", sinceMilliseconds)
            writer.member("digest", digestText)
            writer.member("file", file)
            writer.member("built_at", builtAt.map { Timestamp.iso($0) })
            writer.member("version", version)
            writer.member("language", language)
            writer.member("connections", connections)
            writer.member("errors", errors)
            writer.member("stalls", stalls)
            writer.member("flags", flags)
        }
    }
}

extension StatusReport.Reload {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("at", Timestamp.iso(at))
            writer.member("cause", cause)
            writer.member("accepted", isAccepted)
            writer.member("outcome", outcome)
            writer.member("duration_ms", milliseconds)
            writer.member("moved", moved)
            writer.member("refused", refused)
            writer.member("closed", closed)
            writer.member("draining", draining)
            writer.name("moving_ms")
            writer.value(movingMilliseconds ?? .nan)
        }
    }
}

extension StatusReport.Metric {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("metric", name)
            writer.member("kind", kind)
            writer.member("help", help)
            writer.member("route", route)
            writer.name(buckets.isEmpty ? "value" : "sum")
            writer.value(value)
            if buckets.isEmpty { return }
            writer.member("count", count)
            writer.name("buckets")
            writer.array(buckets) { writer, bucket in
                writer.object { writer in
                    writer.name("le")
                    writer.value(bucket.bound)
                    writer.member("count", bucket.count)
                }
            }
        }
    }
}
