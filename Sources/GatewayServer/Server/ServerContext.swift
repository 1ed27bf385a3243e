import GatewayCluster
import GatewayIO
import Synchronization

/// What all workers share and none of them changes, but for a few counters.
final class ServerContext: Sendable {
    let log: Log
    let pendingReplies = PendingReplies()
    let topics: TopicDirectory
    /// What goes to another program that serves at the same time.
    let succession = SuccessionMail()
    /// What goes to other processes of this gateway.
    let neighbours = NeighbourMail()
    let instances = InstanceDirectory()
    /// Topics over several gateways.
    let cluster: Cluster
    let clusterDelivery: ClusterDelivery
    let gaps: GapNotices
    let jobs = JobPool()
    let dispatchPool = DispatchPool()
    let metrics = MetricTable()
    let rejections = RejectionCounter()
    let counters = CounterDirectory()
    let tlsHandshakes = HandshakeTally()
    /// For what goes wrong between a layer and its peer.
    let layerFailures = LogLimiter(10, inSeconds: 10)
    /// For what is closed for want of a PROXY header, or of trust in it.
    let proxyFailures = LogLimiter(10, inSeconds: 10)
    let admissions = AdmissionTable()
    /// What is counted against no route.
    let costs = CostCounters()
    let memory: MemoryBudget
    /// Peers that were cut off for not reading.
    let unreadLog = SparseLog()
    /// Watches handlers in `mode development`; nil otherwise.
    let contractChecker: ContractChecker?
    /// Looks for callbacks that hold up a loop; nil where nobody does.
    let stallWatch: StallWatch?
    /// In the process of a handler, what its workers tell the first process; nil elsewhere.
    let firstProcess: FirstProcessMail?
    /// What another process is to know of the connections if this one dies; nil where nobody goes on with them.
    let ledger: Ledger?
    /// A module is only being tried: there are no workers, and what it asks for has no effect.
    let isProbe: Bool
    let ports: [WorkerPort]
    /// The routes that workers begin with; later ones come by message.
    let routing: RoutingTable
    /// Peers in all workers, without `surplus`.
    let connections = Atomic<Int>(0)
    /// Peers that are only here to be told that they cannot be served.
    let surplus = Atomic<Int>(0)
    /// How many connections the limit of descriptors has room for.
    let descriptorRoom: Int
    /// New peers are told that the gateway drains.
    let isDraining = Atomic(false)
    /// The monotonic clock in nanoseconds, of all threads but the workers', which read it once a turn.
    let clock: @Sendable () -> UInt64
    /// By that clock.
    let startedAt: UInt64

    init(
        log: Log, ports: [WorkerPort], routing: RoutingTable, descriptorRoom: Int,
        contractChecker: ContractChecker? = nil,
        stallWatch: StallWatch? = nil,
        ledger: Ledger? = nil, firstProcess: FirstProcessMail? = nil,
        isProbe: Bool = false,
        clock: @escaping @Sendable () -> UInt64 = { Clock.monotonicNanoseconds() }
    ) {
        self.clock = clock
        startedAt = clock()
        memory = MemoryBudget(log)
        topics = TopicDirectory(workers: ports.count)
        gaps = GapNotices(ports, instances)
        clusterDelivery = ClusterDelivery(log, topics, ports, gaps, succession)
        cluster = Cluster(host: clusterDelivery, folders: ClusterLine.folders)
        topics.tell(cluster)
        self.isProbe = isProbe
        (self.firstProcess, self.ledger) = (firstProcess, ledger)
        ledger?.begin(at: startedAt)
        self.descriptorRoom = descriptorRoom
        self.contractChecker = contractChecker
        self.stallWatch = stallWatch
        self.log = log
        self.ports = ports
        self.routing = routing
    }

    /// Ticks since the gateway started; the first one is 1, so that 0 can mean never.
    func tick(at nanoseconds: UInt64) -> UInt32 {
        let milliseconds = (nanoseconds &- startedAt) / 1_000_000
        return UInt32(truncatingIfNeeded: milliseconds / TimerWheel.tickMilliseconds) &+ 1
    }

    /// The worker with the fewest peers, `first` if it is among them.
    func leastLoaded(startingAt first: WorkerPort) -> WorkerPort {
        var best = first
        var least = first.load.load(ordering: .relaxed)
        for port in ports {
            let load = port.load.load(ordering: .relaxed)
            if load < least { (best, least) = (port, load) }
        }
        return best
    }
}
