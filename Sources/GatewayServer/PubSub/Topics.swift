import GatewayCluster
import Synchronization

/// Where a topic is known, and under which name.
struct TopicKey: Hashable, Sendable {
    /// The name of the route; empty for GW_GLOBAL_TOPIC.
    let scope: String
    let name: [UInt8]

    /// The longest name, in bytes.
    static let maximumName = 255

    /// The same for other gateways.
    var clusterName: TopicName { TopicName(scope: scope, topic: name) }
}

/// A topic with subscribers, as all threads see it: how many there are in each worker.
final class Topic: Sendable {
    /// How many topics a connection may be subscribed to.
    static let maximumPerConnection = 256

    /// The subscriptions in one worker, those that are on their way to it included.
    final class SubscriberCount: Sendable {
        let count = Atomic<Int>(0)
    }

    let key: TopicKey
    /// By worker.
    let presence: [SubscriberCount]

    init(_ key: TopicKey, workers: Int) {
        self.key = key
        presence = (0..<workers).map { _ in SubscriberCount() }
    }

    /// Subscribers in one worker.
    func count(in worker: Int) -> Int { presence[worker].count.load(ordering: .acquiring) }

    var isEmpty: Bool { presence.allSatisfy { $0.count.load(ordering: .acquiring) == 0 } }
}

/// All topics that have subscribers. Joining and leaving take a lock; publishing in a topic that has subscribers on the
/// publisher's own worker takes none.
final class TopicDirectory: Sendable {
    private struct State {
        var topics: [TopicKey: Topic] = [:]
        /// Hears which topics have subscribers.
        var cluster: Cluster?
    }

    private let state = Mutex(State())
    private let workers: Int

    init(workers: Int) { self.workers = workers }

    func find(_ key: TopicKey) -> Topic? { state.withLock { $0.topics[key] } }

    /// Before the first topic: who is told of those that come to be and end.
    func tell(_ cluster: Cluster) { state.withLock { $0.cluster = cluster } }

    /// All topics, while none comes or goes.
    func forEach(_ visit: (TopicName) -> Void) {
        state.withLock { state in
            for key in state.topics.keys { visit(key.clusterName) }
        }
    }

    /// Counts a subscription in a worker; the topic comes to be with its first one.
    func join(_ key: TopicKey, worker: Int) -> Topic {
        state.withLock { state in
            let known = state.topics[key]
            let topic = known ?? Topic(key, workers: workers)
            if known == nil {
                state.topics[key] = topic
                if let cluster = state.cluster, cluster.isOn.load(ordering: .acquiring) {
                    cluster.follow(key.clusterName)
                }
            }
            topic.presence[worker].count.add(1, ordering: .releasing)
            return topic
        }
    }

    /// Takes a subscription back; the topic ends with its last one.
    func leave(_ topic: Topic, worker: Int) {
        state.withLock { state in
            topic.presence[worker].count.subtract(1, ordering: .releasing)
            guard topic.isEmpty, state.topics.removeValue(forKey: topic.key) != nil else { return }
            if let cluster = state.cluster, cluster.isOn.load(ordering: .acquiring) {
                cluster.leave(topic.key.clusterName)
            }
        }
    }

    /// Topics that have subscribers.
    var count: Int { state.withLock { $0.topics.count } }
}
