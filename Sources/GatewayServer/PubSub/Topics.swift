import Synchronization

/// Where a topic is known, and under which name.
struct TopicKey: Hashable, Sendable {
    /// The name of the route; empty for GW_GLOBAL_TOPIC.
    let scope: String
    let name: [UInt8]

    /// The longest name, in bytes.
    static let maximumName = 255
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
    private let topics = Mutex<[TopicKey: Topic]>([:])
    private let workers: Int

    init(workers: Int) { self.workers = workers }

    func find(_ key: TopicKey) -> Topic? { topics.withLock { $0[key] } }

    /// Counts a subscription in a worker; the topic comes to be with its first one.
    func join(_ key: TopicKey, worker: Int) -> Topic {
        topics.withLock { topics in
            let topic = topics[key] ?? Topic(key, workers: workers)
            topics[key] = topic
            topic.presence[worker].count.add(1, ordering: .releasing)
            return topic
        }
    }

    /// Takes a subscription back; the topic ends with its last one.
    func leave(_ topic: Topic, worker: Int) {
        topics.withLock { topics in
            topic.presence[worker].count.subtract(1, ordering: .releasing)
            if topic.isEmpty { topics[topic.key] = nil }
        }
    }

    /// Topics that have subscribers.
    var count: Int { topics.withLock { $0.count } }
}
