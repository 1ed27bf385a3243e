import GatewayIO

/// What is counted while a run is measured.
struct Tally: ~Copyable {
    var latency: LatencyHistogram
    var timeline: Timeline?
    /// Messages that came back, deliveries, or handshakes.
    var operations = 0
    var bytes = 0
    /// Messages of `--flood` that came back.
    var floodMessages = 0
    /// The longest that any one connection with messages under way heard nothing, in nanoseconds.
    var longestPause: UInt64 = 0
    var begin: UInt64 = 0
    var end: UInt64 = 0
    /// Off during the warm-up.
    var isOn = false
    var before = ServerUsage()
    var after = ServerUsage()

    init() throws(Errno) { latency = try LatencyHistogram() }

    mutating func start(_ plan: LoadPlan, now: UInt64) {
        before = ServerUsage.sample(plan.processes)
        begin = now
        isOn = true
        timeline = plan.timelineMilliseconds.map { Timeline(milliseconds: $0, begin: now) }
    }

    mutating func stop(_ plan: LoadPlan, now: UInt64) {
        end = now
        isOn = false
        after = ServerUsage.sample(plan.processes)
    }

    @inline(__always)
    mutating func countFlood() { if isOn { floodMessages &+= 1 } }

    @inline(__always)
    mutating func count(_ latency: UInt64, bytes: Int, now: UInt64) {
        guard isOn else { return }
        operations &+= 1
        self.bytes &+= bytes
        self.latency.add(latency)
        if timeline != nil { timeline?.add(latency, now: now) }
    }
}
