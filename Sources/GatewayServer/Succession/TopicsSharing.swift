import GatewayCluster

/// A predecessor hears the engines of the cluster for its successor as well, until that one does; and what was published in it
/// comes before what is published there. It belongs to the control thread.
struct TopicsSharing {
    private enum Phase {
        case both
        /// The successor has been asked whether it hears them itself.
        case asked
        /// It does. What engines have sent here before that may still be on its way.
        case catchingUp(Fence)
        case quiet
    }

    /// How long all of it may take, in nanoseconds.
    private static let patience: UInt64 = 5_000_000_000

    private var phase = Phase.both
    private var deadline: UInt64 = 0
    /// Connections that have gone to the successor, and of how many engines have been asked for what they had published.
    private var gone: UInt64 = 0
    private var asked: UInt64 = 0
    private var flushing: Fence?

    /// The successor has members of a topic that may be unknown here.
    func begin(_ share: SuccessionMessage.TopicShare, _ context: ServerContext) {
        let mail = context.succession
        context.cluster.share(share.key.clusterName) { mail.send(.topicShared(share.key)) }
    }

    /// Something goes to the successor.
    mutating func note(_ item: SuccessionMail.Item) { if case .connection = item { gone += 1 } }

    /// Sees to it that engines have what those have published who have gone.
    ///
    /// - Returns: of how many that is so, when it has come to be.
    mutating func flush(_ server: Server) -> UInt64? {
        var flushed: UInt64?
        if flushing?.isPassed ?? false { (flushed, flushing) = (asked, nil) }
        if flushing == nil, gone > asked {
            asked = gone
            let fence = Fence(passers: 1, bell: server.loop.bell)
            flushing = fence
            server.context.cluster.flush { fence.pass() }
        }
        return flushed
    }

    /// The successor hears the engines itself.
    mutating func noteConfirmed(_ server: Server) {
        let fence = Fence(passers: 1, bell: server.loop.bell)
        phase = .catchingUp(fence)
        server.context.cluster.confirm { fence.pass() }
    }

    /// Nobody is here any more. Asks for what is missing.
    ///
    /// - Returns: whether what other gateways publish reaches the successor without this program, or should by now.
    mutating func mayEnd(_ now: UInt64, _ context: ServerContext) -> Bool {
        switch phase {
        case .both:
            (phase, deadline) = (.asked, now &+ Self.patience)
            // Behind all connections.
            context.succession.send(.confirmTopics)
            return false
        case .asked: if now < deadline { return false }
        case .catchingUp(let fence): if now < deadline, !fence.isPassed { return false }
        case .quiet: return true
        }
        phase = .quiet
        // With more it might never end.
        context.succession.locked { $0.keepsQuiet = true }
        return true
    }
}
