/// What `gateway status` shows: one moment of the gateway, gathered by the control thread, as plain values.
package struct StatusReport: Sendable, Equatable {
    package var process: Process
    /// Where it listens, as the log names it.
    package var listeners: [String] = []
    /// What TLS clients are shown, in the order of the configuration.
    package var certificates: [Certificate] = []
    /// The routes in the order of the configuration.
    package var routes: [Route] = []
    /// The handlers in the order in which routes name them.
    package var handlers: [Handler] = []
    /// What handlers count, in the order in which they have defined it; as JSON only.
    package var metrics: [Metric] = []
    /// Why not all is well, a line each that begins with a code word: those of `/readyz`, and others.
    package var reasons: [String] = []
    /// How many requests were not served, by the code word of their answers.
    package var refusals: [Refusal] = []
    /// Topics over several gateways; nil where there are none.
    package var cluster: Cluster?
    /// Of the listeners, those that a service manager has handed over.
    package var inheritedListeners: [String] = []

    /// Routes that no instance serves.
    package var missing: Int { routes.count { $0.unavailable != nil } }

    /// Handlers with something wrong that their routes do not show.
    package var troubled: [String] { handlers.filter { $0.trouble != nil && $0.file != nil }.map(\.name) }

    /// A reason for each of them.
    package var copies: [String] {
        handlers.filter { troubled.contains($0.name) }.map { handler in
            let first = (handler.trouble ?? "").split(separator: "\n").first.map { String($0) } ?? ""
            return "copy-serves: handler \"\(handler.name)\": \(first)"
        }
    }

    /// The gateway serves, but not all that it should.
    package var isDegraded: Bool { process.phase == .serving && (missing > 0 || !troubled.isEmpty) }

    /// Makes a report; the lists are filled afterwards.
    package init(process: Process) { self.process = process }
}

extension StatusReport {
    /// Requests that were not served.
    package struct Refusal: Sendable, Equatable {
        /// The code word of the answers.
        package var word: String
        package var count: UInt64

        package init(word: String, count: UInt64) {
            self.word = word
            self.count = count
        }
    }
}

extension StatusReport {
    /// A certificate with those that vouch for it.
    package struct Certificate: Sendable, Equatable {
        /// The first host it was issued for.
        package var name: String
        package var file: String
        /// The listeners that show it.
        package var listeners: [String]
        /// Seconds since 1970.
        package var expiresAt: Int64

        package init(name: String, file: String, listeners: [String], expiresAt: Int64) {
            self.name = name
            self.file = file
            self.listeners = listeners
            self.expiresAt = expiresAt
        }
    }
}

extension StatusReport {
    /// The process as a whole.
    package struct Process: Sendable, Equatable {
        /// What it is doing.
        package enum Phase: String, Sendable {
            /// Handlers are being loaded and started; no peer is served yet.
            case starting
            case serving
            /// No new connections; it ends when the last has left.
            case draining
            /// Connections are told to go (1001).
            case stopping
        }

        package var pid: Int32
        package var version: String
        package var phase = Phase.serving
        /// Seconds since 1970.
        package var startedAt: Int64
        /// The time of this report in seconds since 1970; ages are counted from it.
        package var now: Int64
        /// By the monotonic clock.
        package var uptimeMilliseconds: UInt64
        package var workers: Int
        /// Peers of each worker: a new one goes to the worker that has the fewest.
        package var workerConnections: [Int] = []
        /// Peers in all workers.
        package var connections: Int
        /// `max_connections`.
        package var maxConnections: Int
        /// What the buffers of connections hold; nil with `max_memory off`, when nobody counts.
        package var memory: Memory?
        /// Of peers that no route had to do with.
        package var costs = Costs()
        /// How late workers come to what is asked of them each second; nil where nobody asks.
        package var loopLag: Durations?
        /// What the kernel says of the process; nil where it says nothing.
        package var usage: Usage?
        /// The file as the operator named it.
        package var configuration: String
        /// The last time it was read again; nil when it never was.
        package var configurationReload: ConfigurationReload?
        /// What goes on with an upgrade of the program; nil where nothing does.
        package var upgrade: String?

        /// Makes a serving process from what is always known.
        package init(
            pid: Int32, version: String, startedAt: Int64, now: Int64, uptimeMilliseconds: UInt64, workers: Int,
            connections: Int, maxConnections: Int, configuration: String
        ) {
            self.pid = pid
            self.version = version
            self.startedAt = startedAt
            self.now = now
            self.uptimeMilliseconds = uptimeMilliseconds
            self.workers = workers
            self.connections = connections
            self.maxConnections = maxConnections
            self.configuration = configuration
        }
    }

    /// One reading of the configuration by a running gateway.
    package struct ConfigurationReload: Sendable, Equatable {
        /// Seconds since 1970.
        package var at: Int64
        /// False when the file was refused and the one before is still in effect.
        package var isAccepted: Bool
        /// What came of it, a sentence without a full stop.
        package var outcome: String

        package init(at: Int64, isAccepted: Bool, outcome: String) {
            self.at = at
            self.isAccepted = isAccepted
            self.outcome = outcome
        }
    }

    /// One route.
    package struct Route: Sendable, Equatable {
        /// The host whose requests it is for; nil = all.
        package var host: String?
        package var pattern: String
        package var handler: String
        /// Why no instance serves it; nil while one does.
        package var unavailable: String?
        package var connections: Int
        /// `reload`, as it is written in the file.
        package var reload: String
        /// What its peers were cut off for, or not given.
        package var costs = Costs()
        /// What permessage-deflate did for its connections; nil where it never was on.
        package var compression: Compression?
        /// What went over its connections since the start.
        package var traffic = Traffic()

        package init(
            host: String? = nil, pattern: String, handler: String, unavailable: String?, connections: Int,
            reload: String, compression: Compression? = nil
        ) {
            self.host = host
            self.pattern = pattern
            self.handler = handler
            self.unavailable = unavailable
            self.connections = connections
            self.reload = reload
            self.compression = compression
        }
    }

    /// What permessage-deflate did.
    package struct Compression: Sendable, Equatable {
        package struct Direction: Sendable, Equatable {
            /// Bytes of the messages that came or went compressed, before and after; a publication counts once, however
            /// many hear it.
            package var plainBytes: UInt64
            package var compressedBytes: UInt64
            /// What that took.
            package var nanoseconds: UInt64

            package init(plainBytes: UInt64 = 0, compressedBytes: UInt64 = 0, nanoseconds: UInt64 = 0) {
                self.plainBytes = plainBytes
                self.compressedBytes = compressedBytes
                self.nanoseconds = nanoseconds
            }

            package mutating func add(_ other: Direction) {
                plainBytes &+= other.plainBytes
                compressedBytes &+= other.compressedBytes
                nanoseconds &+= other.nanoseconds
            }

            /// What is left of a byte; nil when nothing was compressed.
            package var ratio: Double? { plainBytes > 0 ? Double(compressedBytes) / Double(plainBytes) : nil }
        }

        package var received = Direction()
        package var sent = Direction()

        package init() {}
    }

    /// `max_memory`, and what came of it since the start.
    package struct Memory: Sendable, Equatable {
        /// Bytes in the buffers of connections.
        package var held: Int
        /// `max_memory`.
        package var most: Int
        /// Requests that heard 503 over it.
        package var refused: Int
        /// Connections that were closed over it.
        package var shed: Int

        package init(held: Int, most: Int, refused: Int, shed: Int) {
            self.held = held
            self.most = most
            self.refused = refused
            self.shed = shed
        }
    }

    /// How often peers cost too much, since the start.
    package struct Costs: Sendable, Equatable {
        /// Connections that ended because the peer took nothing for `write_timeout`.
        package var writeTimeouts = 0
        /// What `slow_consumer` did: connections closed, messages not taken, messages given up for newer ones, times that
        /// a peer was not read from.
        package var closed = 0
        package var droppedNew = 0
        package var droppedOld = 0
        package var pausedReads = 0

        package init() {}
    }

    /// One handler file.
    package struct Handler: Sendable, Equatable {
        package var name: String
        /// The file that is loaded; nil when none is.
        package var file: String?
        /// Why nothing serves, or something else than the file; nil where all is well.
        package var trouble: String?
        /// What holds although nothing is wrong, such as a rollback.
        package var note: String?
        /// What is being done to replace it: a state of `Reload`.
        package var state = "idle"
        /// How many builds that served before are kept: what `gateway rollback` can go back to.
        package var olderBuilds = 0
        /// Newest first.
        package var generations: [Generation] = []
        /// The last reload or rollback, whatever came of it; nil when there was none.
        package var lastReload: Reload?

        /// Makes a handler; the rest is filled afterwards.
        package init(name: String, file: String?) {
            self.name = name
            self.file = file
        }
    }

    /// One loaded copy of a handler.
    package struct Generation: Sendable, Equatable {
        /// Where it stands.
        package enum State: String, Sendable, CaseIterable {
            /// Not in service yet.
            case loading
            /// Gets the new connections.
            case live
            /// The connections move to a newer generation.
            case handingOver = "handing over"
            /// Keeps the connections it has.
            case retiring
            /// Has none and gets none; it was stopped.
            case ended
            /// The same, and its image stays in memory.
            case pinned
        }

        package var number: UInt64
        package var state: State
        /// Why it is in that state, such as what pins it; nil where that is plain.
        package var why: String?
        /// For how long it has been.
        package var sinceMilliseconds: UInt64
        package var digest: UInt64
        /// The copy that is mapped.
        package var file: String
        /// When the file it was copied from was written, in seconds since 1970; nil when that is not known.
        package var builtAt: Int64?
        /// What the handler says of itself; empty when it says nothing.
        package var version: String
        /// What it is written in, or with.
        package var language: String
        package var connections: Int
        /// Callbacks that ended in an error.
        package var errors: Int
        /// Callbacks that held up a loop (`callback_stall`).
        package var stalls: Int
        /// Names of its GW_HF_* flags.
        package var flags: [String]

        package init(
            number: UInt64, state: State, why: String? = nil, sinceMilliseconds: UInt64, digest: UInt64, file: String,
            builtAt: Int64? = nil, version: String = "", language: String, connections: Int, errors: Int = 0,
            stalls: Int = 0, flags: [String] = []
        ) {
            self.number = number
            self.state = state
            self.why = why
            self.sinceMilliseconds = sinceMilliseconds
            self.digest = digest
            self.file = file
            self.builtAt = builtAt
            self.version = version
            self.language = language
            self.connections = connections
            self.errors = errors
            self.stalls = stalls
            self.flags = flags
        }
    }

    /// One attempt to replace a generation.
    package struct Reload: Sendable, Equatable {
        /// Seconds since 1970.
        package var at: Int64
        /// What set it off, such as "the file changed".
        package var cause: String
        /// False when it was refused and the generation before still serves.
        package var isAccepted: Bool
        /// What came of it, a sentence without a full stop.
        package var outcome: String
        package var milliseconds: UInt64
        /// Connections that changed to the new generation.
        package var moved: Int
        /// Connections whose state it would not take; they drain.
        package var refused: Int
        /// Connections that were closed over it.
        package var closed: Int
        /// Connections that are still with an older generation.
        package var draining: Int
        /// From the moment that new connections went to the new generation until the last one had moved that could at
        /// once; nil when none moved.
        package var movingMilliseconds: Double?

        package init(
            at: Int64, cause: String, isAccepted: Bool, outcome: String, milliseconds: UInt64, moved: Int = 0,
            refused: Int = 0, closed: Int = 0, draining: Int = 0, movingMilliseconds: Double? = nil
        ) {
            self.movingMilliseconds = movingMilliseconds
            self.at = at
            self.cause = cause
            self.isAccepted = isAccepted
            self.outcome = outcome
            self.milliseconds = milliseconds
            self.moved = moved
            self.refused = refused
            self.closed = closed
            self.draining = draining
        }
    }
}

extension StatusReport {
    /// What a route has had to do since the start.
    package struct Traffic: Sendable, Equatable {
        package struct Direction: Sendable, Equatable {
            package var messages: UInt64 = 0
            /// Of frames: neither the handshake nor TLS.
            package var bytes: UInt64 = 0
        }

        package var opened: UInt64 = 0
        package var closed: UInt64 = 0
        package var received = Direction()
        package var sent = Direction()
        /// What callbacks took, all of them together; nil before the first.
        package var callbacks: Durations?

        package init() {}
    }

    /// How many durations lie in each bucket.
    package struct Durations: Sendable, Equatable {
        /// The upper bounds in seconds; behind the last one is another bucket.
        package var bounds: [Double]
        package var counts: [UInt64]

        package init(bounds: [Double], counts: [UInt64]) {
            (self.bounds, self.counts) = (bounds, counts)
        }
    }

    package struct Usage: Sendable, Equatable {
        package var cpuMilliseconds: UInt64
        package var residentBytes: UInt64

        package init(cpuMilliseconds: UInt64, residentBytes: UInt64) {
            (self.cpuMilliseconds, self.residentBytes) = (cpuMilliseconds, residentBytes)
        }
    }
}

extension StatusReport {
    /// A metric that a handler has defined.
    package struct Metric: Sendable, Equatable {
        /// A bucket of a histogram: how many observations lie at or below a bound.
        package struct Bucket: Sendable, Equatable {
            package var bound: Double
            package var count: UInt64

            package init(bound: Double, count: UInt64) {
                self.bound = bound
                self.count = count
            }
        }

        /// `handler_<name>_...`.
        package var name: String
        /// "counter", "gauge" or "histogram".
        package var kind: String
        package var help: String
        package var route: String
        /// The value of a counter or gauge, the sum of a histogram.
        package var value: Double
        /// Of a histogram; empty otherwise.
        package var buckets: [Bucket]
        /// How many observations a histogram has.
        package var count: UInt64

        package init(
            name: String, kind: String, help: String = "", route: String, value: Double, buckets: [Bucket] = [],
            count: UInt64 = 0
        ) {
            self.name = name
            self.kind = kind
            self.help = help
            self.route = route
            self.value = value
            self.buckets = buckets
            self.count = count
        }
    }
}
