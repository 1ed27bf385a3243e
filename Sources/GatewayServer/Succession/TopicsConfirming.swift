import GatewayCluster
import GatewayIO
import Synchronization

/// The way of a successor to hearing the engines of the cluster itself: everybody who has come is in the topics, and these
/// are subscribed to. It belongs to the control thread, which steps it.
final class TopicsConfirming {
    private let arrivals: Fence
    private var isAsked = false
    private var isTold = false
    private let isDone = Flag()

    /// Set on the thread of an engine.
    private final class Flag: Sendable {
        let isSet = Atomic<Bool>(false)
    }

    init(_ server: Server) {
        arrivals = Fence(workers: server.context.ports.count, bell: server.loop.bell)
        for port in server.context.ports { port.post(.fence(arrivals)) }
    }

    /// Nothing is missed from here on.
    var isConfirmed: Bool { isDone.isSet.load(ordering: .acquiring) }

    /// - Returns: true when that has come to be, once.
    func step(_ server: Server) -> Bool {
        if !isAsked, arrivals.isPassed {
            isAsked = true
            let (isDone, bell) = (isDone, server.loop.bell)
            server.context.cluster.confirm {
                isDone.isSet.store(true, ordering: .releasing)
                bell.ring()
            }
        }
        guard isConfirmed, !isTold else { return false }
        isTold = true
        return true
    }
}
