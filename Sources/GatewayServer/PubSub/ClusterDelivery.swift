import Bytes
import GatewayCluster
import Synchronization
import WebSocket

/// Gives members here what other gateways publish, and tells handlers of what may have been missed. Threads of the
/// cluster.
final class ClusterDelivery: ClusterHost {
    private let sink: Log
    private let topics: TopicDirectory
    private let ports: [WorkerPort]
    private let gaps: GapNotices
    private let succession: SuccessionMail

    init(
        _ log: Log, _ topics: TopicDirectory, _ ports: [WorkerPort], _ gaps: GapNotices, _ succession: SuccessionMail
    ) {
        (sink, self.topics, self.ports, self.gaps) = (log, topics, ports, gaps)
        self.succession = succession
    }

    func deliver(
        _ name: TopicName, _ id: PublicationID, isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer
    ) -> Bool {
        succession.publishing {
            if succession.isOn.load(ordering: .sequentiallyConsistent) {
                return unsafe deliverToBoth(name, id, isText: isText, isPlain: isPlain, payload)
            }
            return unsafe deliverHere(name, isText: isText, isPlain: isPlain, payload)
        }
    }

    private func deliverHere(
        _ name: TopicName, isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer
    ) -> Bool {
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

    /// While two programs serve, the one that is to end hears the engine for both. When it has ended, connections may still be
    /// on their way to a worker here.
    private func deliverToBoth(
        _ name: TopicName, _ id: PublicationID, isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer
    ) -> Bool {
        if isText, unsafe !UTF8Checker.isValid(payload) { return false }
        let isCrowded = ports.contains { $0.publishedBytes.load(ordering: .relaxed) > HostContext.mostPublished }
        if isCrowded || succession.isFull { return false }
        let publication = SuccessionMail.Publication(
            key: TopicKey(scope: name.scope, name: name.topic), isText: isText, isPlain: isPlain, except: 0,
            payload: unsafe Array(payload), id: id)
        succession.locked { state in
            if state.side == .successor {
                return publication.post(topics, ports, to: Topic(publication.key, workers: ports.count))
            }
            if !state.keepsQuiet { state.give(.publication(publication)) }
            publication.post(topics, ports)
        }
        return true
    }

    /// The one that is to end hears this topic as well from now on.
    func noteFollowed(_ topic: TopicName) {
        succession.send(.shareTopic(TopicKey(scope: topic.scope, name: topic.topic)))
    }

    var keepsTopics: Bool { succession.isOn.load(ordering: .relaxed) }

    func noteGap(_ name: TopicName?) { gaps.tell(name) }

    func log(_ level: ClusterLogLevel, _ text: String) {
        switch level {
        case .debug: sink.debug(text)
        case .info: sink.info(text)
        case .warning: sink.warn(text)
        case .error: sink.error(text)
        }
    }
}
