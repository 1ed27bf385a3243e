import GatewayIO
import HTTP
import Synchronization

/// What all workers share and none of them changes, but for a few counters.
final class ServerContext: Sendable {
    let log: Log
    let logsAccess: Bool
    let headLimits: HeadLimits
    let handshakeTimeout: UInt32
    /// How many peers may be connected at once, over all workers.
    let maxConnections: Int
    let desk = TicketDesk()
    let ports: [WorkerPort]
    /// The routes as they are now; replaced as a whole.
    let routing: RoutingTable
    /// Peers in all workers.
    let connections = Atomic<Int>(0)
    let startedAt = Clock.monotonicNanoseconds()

    init(
        log: Log, logsAccess: Bool, headLimits: HeadLimits, handshakeTimeout: UInt32, maxConnections: Int,
        ports: [WorkerPort], routing: RoutingTable
    ) {
        self.log = log
        self.logsAccess = logsAccess
        self.headLimits = headLimits
        self.handshakeTimeout = handshakeTimeout
        self.maxConnections = maxConnections
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
