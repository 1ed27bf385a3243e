import GatewayCluster

/// The way of a successor to hearing the engines of the cluster itself: everybody who has come is in the topics, and these
/// are subscribed to. It belongs to the control thread, which steps it.
final class TopicsConfirming {
    private let arrivals: Fence
    private var subscriptions: Fence?
    private var isTold = false

    init(_ server: Server) {
        arrivals = Fence(passers: server.context.ports.count, bell: server.loop.bell)
        for port in server.context.ports { port.post(.fence(arrivals)) }
    }

    /// Nothing is missed from here on.
    var isConfirmed: Bool { subscriptions?.isPassed ?? false }

    /// - Returns: true when that has come to be, once.
    func step(_ server: Server) -> Bool {
        if subscriptions == nil, arrivals.isPassed {
            let fence = Fence(passers: 1, bell: server.loop.bell)
            subscriptions = fence
            server.context.cluster.confirm { fence.pass() }
        }
        guard isConfirmed, !isTold else { return false }
        isTold = true
        return true
    }
}
