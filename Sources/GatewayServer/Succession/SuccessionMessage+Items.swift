import GatewayIO

extension SuccessionMessage {
    /// What goes over the link of an item; nil for a place that is kept.
    init?(_ item: SuccessionMail.Item) {
        switch item {
        case .publication(let publication):
            self = .publication(
                Publication(
                    scope: publication.key.scope,
                    topic: String(decoding: publication.key.name, as: UTF8.self), isText: publication.isText,
                    isPlain: publication.isPlain, except: publication.except, payload: publication.payload,
                    id: publication.id))
        case .errand(let errand): self = .errand(errand)
        case .shareTopic(let key): self = .shareTopic(TopicShare(key))
        case .confirmTopics: self = .confirmTopics
        case .topicShared(let key): self = .topicShared(TopicShare(key))
        case .received(let number): self = .received(number)
        case .connection(let connection, let received, let record, let socket):
            let worker = UInt8(truncatingIfNeeded: ConnectionID(connection).worker)
            self = .connection(ConnectionShare(worker: worker, received: received, record: record), socket)
        case .known, .reserved: return nil
        }
    }
}

extension SuccessionMessage.Publication {
    var item: SuccessionMail.Publication {
        SuccessionMail.Publication(
            key: TopicKey(scope: scope, name: Array(topic.utf8)), isText: isText, isPlain: isPlain, except: except,
            payload: payload, id: id)
    }
}

extension SuccessionMessage.TopicShare {
    init(_ key: TopicKey) { self.init(scope: key.scope, topic: key.name) }

    var key: TopicKey { TopicKey(scope: scope, name: topic) }
}
