import Bytes
import GatewayCluster
import Synchronization
import WebSocket

/// Gives members here what other gateways publish, and tells handlers of what may have been missed. Threads of the
/// cluster.
final class ClusterDelivery: ClusterHost {
    /// Events that may wait for an instance.
    private static let mostGaps = 256
    private let sink: Log
    private let topics: TopicDirectory
    private let ports: [WorkerPort]
    private let instances: InstanceDirectory
    private let succession: SuccessionMail

    init(
        _ log: Log, _ topics: TopicDirectory, _ ports: [WorkerPort], _ instances: InstanceDirectory,
        _ succession: SuccessionMail
    ) {
        (sink, self.topics, self.ports, self.instances) = (log, topics, ports, instances)
        self.succession = succession
    }

    func deliver(_ name: TopicName, isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer) -> Bool {
        if succession.isOn.load(ordering: .acquiring) {
            return unsafe deliverToBoth(name, isText: isText, isPlain: isPlain, payload)
        }
        guard let topic = topics.find(TopicKey(scope: name.scope, name: name.topic)) else { return true }
        // Whoever may write to the engine may write anything, and RFC 6455 8.1 holds for what members get.
        if isText, unsafe !UTF8Checker.isValid(payload) { return false }
        let members = ports.filter { topic.count(in: Int($0.index)) > 0 }
        for port in members where port.publishedBytes.load(ordering: .relaxed) > HostContext.mostPublished {
            return false
        }
        let header = FrameWriter(isText ? .text : .binary, isFinal: true, payloadLength: payload.count)
        guard let frame = unsafe SharedBuffer.frame(header, payload) else { return false }
        for port in members {
            unsafe frame.pointee.retain()
            unsafe port.publishedBytes.add(frame.pointee.count, ordering: .relaxed)
            port.post(.publication(topic, address: UInt(bitPattern: frame), isPlain: isPlain, except: 0))
        }
        unsafe SharedBuffer.release(frame)
        return true
    }

    /// While two programs serve, the one that is to end hears the engine for both.
    private func deliverToBoth(
        _ name: TopicName, isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer
    ) -> Bool {
        if isText, unsafe !UTF8Checker.isValid(payload) { return false }
        let isCrowded = ports.contains { $0.publishedBytes.load(ordering: .relaxed) > HostContext.mostPublished }
        if isCrowded || succession.isFull { return false }
        let publication = SuccessionMail.Publication(
            key: TopicKey(scope: name.scope, name: name.topic), isText: isText, isPlain: isPlain, except: 0,
            payload: unsafe Array(payload))
        succession.locked { state in
            if state.side == .successor { return }
            state.give(.publication(publication))
            publication.post(topics, ports)
        }
        return true
    }

    func noteGap(_ name: TopicName?) {
        for context in instances.contexts(in: name?.scope ?? "") where context.isOpen.load(ordering: .acquiring) {
            if context.hasStopped { continue }
            let waiting = context.gaps.add(1, ordering: .relaxed).newValue
            // The last of them that is told stands for all topics.
            if waiting > Self.mostGaps {
                context.gaps.subtract(1, ordering: .relaxed)
                continue
            }
            context.pending.add(1, ordering: .relaxed)
            let event = HandlerEvent(
                instanceContext: context, connection: 0, token: 0,
                kind: .gap(waiting == Self.mostGaps ? [] : name?.topic ?? []))
            ports[context.home].post(.event(event))
        }
    }

    func log(_ level: ClusterLogLevel, _ text: String) {
        switch level {
        case .debug: sink.debug(text)
        case .info: sink.info(text)
        case .warning: sink.warn(text)
        case .error: sink.error(text)
        }
    }
}
