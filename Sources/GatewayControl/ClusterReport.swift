extension StatusReport {
    /// Topics over several gateways, as they are now.
    package struct Cluster: Sendable, Equatable {
        package struct Engine: Sendable, Equatable {
            /// Without a password.
            package var url: String
            package var isUp: Bool
            /// For how long it has been up, or away.
            package var forMilliseconds: UInt64
            /// Engine, version and address; or why it is away.
            package var text: String
            package var topics: Int
            package var queuedBytes: Int
            package var connects: UInt64
            /// From a probe to its return; 0 before the first.
            package var probeMicroseconds: UInt64

            package init(
                url: String, isUp: Bool, forMilliseconds: UInt64, text: String, topics: Int, queuedBytes: Int,
                connects: UInt64, probeMicroseconds: UInt64
            ) {
                (self.url, self.isUp, self.forMilliseconds, self.text) = (url, isUp, forMilliseconds, text)
                (self.topics, self.queuedBytes, self.connects) = (topics, queuedBytes, connects)
                self.probeMicroseconds = probeMicroseconds
            }
        }

        package var name: String
        package var prefix: String
        package var sent: UInt64
        package var received: UInt64
        package var lost: UInt64
        package var gaps: UInt64
        package var rejected: UInt64
        package var lagMicroseconds: UInt64
        package var engines: [Engine]

        package init(
            name: String, prefix: String, sent: UInt64, received: UInt64, lost: UInt64, gaps: UInt64, rejected: UInt64,
            lagMicroseconds: UInt64, engines: [Engine]
        ) {
            (self.name, self.prefix, self.sent, self.received) = (name, prefix, sent, received)
            (self.lost, self.gaps, self.rejected) = (lost, gaps, rejected)
            (self.lagMicroseconds, self.engines) = (lagMicroseconds, engines)
        }
    }
}

extension StatusReport.Cluster {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", name)
            writer.member("prefix", prefix)
            writer.member("sent", sent)
            writer.member("received", received)
            writer.member("lost", lost)
            writer.member("gaps", gaps)
            writer.member("rejected", rejected)
            writer.member("lag_us", lagMicroseconds)
            writer.name("engines")
            writer.array(engines) { $1.write(to: &$0) }
        }
    }

    /// For people.
    var lines: [(String, StyledText)] {
        let counts =
            "\(sent) sent, \(received) received"
            + (lost > 0 ? ", \(lost) lost" : "") + (rejected > 0 ? ", \(rejected) rejected" : "")
        return engines.enumerated().map { index, engine in (index == 0 ? "cluster" : "", engine.line) }
            + [("", StyledText("\(name), prefix \(prefix): \(counts)", lost > 0 ? .doubtful : .plain))]
    }
}

extension StatusReport.Cluster.Engine {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("url", url)
            writer.member("up", isUp)
            writer.member("for_ms", forMilliseconds)
            writer.member("text", text)
            writer.member("topics", topics)
            writer.member("queued_bytes", queuedBytes)
            writer.member("connects", connects)
            writer.member("probe_us", probeMicroseconds)
        }
    }

    fileprivate var line: StyledText {
        let seconds = forMilliseconds / 1000
        let since = seconds < 120 ? "\(seconds) s" : "\(seconds / 60) min"
        let waiting = queuedBytes > 0 ? ", \(queuedBytes) bytes wait" : ""
        if !isUp { return StyledText("\(url) away for \(since): \(text)\(waiting)", .bad) }
        return StyledText("\(text), up for \(since), \(StatusReport.count(topics, "topic"))\(waiting)")
    }
}
