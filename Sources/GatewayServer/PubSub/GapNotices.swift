import GatewayCluster
import Synchronization

/// Tells handlers that members of topics here may have missed publications. Any thread.
struct GapNotices: Sendable {
    /// Events that may wait for an instance.
    private static let most = 256
    private let ports: [WorkerPort]
    private let instances: InstanceDirectory

    init(_ ports: [WorkerPort], _ instances: InstanceDirectory) { (self.ports, self.instances) = (ports, instances) }

    /// - Parameter name: the topic; nil is any, of every route.
    func tell(_ name: TopicName?) {
        for context in instances.contexts(in: name?.scope ?? "") where context.isOpen.load(ordering: .acquiring) {
            if context.hasStopped { continue }
            let waiting = context.gaps.add(1, ordering: .relaxed).newValue
            // The last of them that is told stands for all topics.
            if waiting > Self.most {
                context.gaps.subtract(1, ordering: .relaxed)
                continue
            }
            context.pending.add(1, ordering: .relaxed)
            let event = HandlerEvent(
                instanceContext: context, connection: 0, token: 0,
                kind: .gap(waiting == Self.most ? [] : name?.topic ?? []))
            ports[context.home].post(.event(event))
        }
    }
}
