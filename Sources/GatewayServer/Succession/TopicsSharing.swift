import GatewayCluster
import Synchronization

/// A predecessor hears the engines of the cluster for its successor as well, until that one does. It belongs to the control
/// thread.
struct TopicsSharing {
    private enum Phase {
        case both
        /// The successor has been asked whether it hears them itself.
        case asked
        /// It does. What engines have sent here before that may still be on its way.
        case catchingUp
        case quiet
    }

    /// Set on the thread of an engine.
    private final class Flag: Sendable {
        let isSet = Atomic<Bool>(false)
    }

    private final class Count: Sendable {
        let number = Atomic<UInt64>(0)
    }

    /// How long all of it may take, in nanoseconds.
    private static let patience: UInt64 = 5_000_000_000

    private var phase = Phase.both
    /// Connections that have gone to the successor; when engines had been asked last for what was published before; and how
    /// many of them the successor knows to have nothing on its way to an engine.
    private var gone: UInt64 = 0
    private var asked: UInt64 = 0
    private var told: UInt64 = 0
    private let flushed = Count()
    private var deadline: UInt64 = 0
    private let hasCaughtUp = Flag()

    /// The successor has members of a topic that may be unknown here.
    func begin(_ share: SuccessionMessage.TopicShare, _ context: ServerContext) {
        let mail = context.succession
        context.cluster.share(share.key.clusterName) { mail.send(.topicShared(share.key)) }
    }

    /// Something goes to the successor.
    mutating func note(_ item: SuccessionMail.Item) { if case .connection = item { gone += 1 } }

    /// Sees to it that what those have published who have gone comes before what they publish there.
    ///
    /// - Returns: of how many that is so, when the successor does not know.
    mutating func flush(_ server: Server) -> UInt64? {
        let done = flushed.number.load(ordering: .acquiring)
        if asked == done, gone > asked {
            asked = gone
            let (flushed, count, bell) = (flushed, gone, server.loop.bell)
            server.context.cluster.flush {
                flushed.number.store(count, ordering: .releasing)
                bell.ring()
            }
        }
        guard done > told else { return nil }
        told = done
        return done
    }

    /// The successor hears the engines itself.
    mutating func noteConfirmed(_ server: Server) {
        phase = .catchingUp
        let (hasCaughtUp, bell) = (hasCaughtUp, server.loop.bell)
        server.context.cluster.confirm {
            hasCaughtUp.isSet.store(true, ordering: .releasing)
            bell.ring()
        }
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
        case .asked where now >= deadline,
            .catchingUp where now >= deadline || hasCaughtUp.isSet.load(ordering: .acquiring):
            phase = .quiet
            // With more it might never end.
            context.succession.locked { $0.keepsQuiet = true }
            return true
        case .asked, .catchingUp: break
        case .quiet: return true
        }
        return false
    }
}
