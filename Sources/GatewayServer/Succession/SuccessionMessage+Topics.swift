import GatewayCluster

extension SuccessionMessage {
    /// Of those about topics that other gateways have as well.
    static func ofTopics(_ kind: Kind, _ fields: MessageFieldReader) throws(SuccessionFailure) -> SuccessionMessage {
        switch kind {
        case .confirmTopics: .confirmTopics
        case .topicsConfirmed: .topicsConfirmed
        case .flushed: .flushed(connections: try fields.number(1))
        case .shareTopic: .shareTopic(try TopicShare(fields))
        default: .topicShared(try TopicShare(fields))
        }
    }
}

extension SuccessionMessage.TopicShare {
    func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, scope)
        writer.put(2, topic)
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init(scope: try fields.text(1) ?? "", topic: Array(try fields.demand(fields.bytes(2), 2)))
    }
}

extension SuccessionMessage.Publication {
    func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, scope)
        writer.put(2, topic)
        writer.put(3, isText)
        writer.put(4, isPlain)
        writer.put(5, except)
        writer.put(6, payload)
        if let id {
            writer.put(7, id.origin)
            writer.put(8, id.number)
        }
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init(
            scope: try fields.text(1) ?? "", topic: try fields.demand(fields.text(2), 2), isText: try fields.flag(3),
            isPlain: try fields.flag(4), except: try fields.number(5),
            payload: Array(try fields.demand(fields.bytes(6), 6)))
        let origin: UInt64 = try fields.number(7)
        if origin != 0 { id = PublicationID(origin: origin, number: try fields.number(8)) }
    }
}
