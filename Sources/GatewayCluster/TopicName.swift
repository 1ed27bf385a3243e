/// Under which name a topic is known to an engine: the same on every gateway with the same prefix, and another one for
/// every other topic.
///
///     prefix 0 route 0 topic        an empty route is that of the topics of the gateway
///     prefix 1 origin               what a gateway sends to itself, to see whether that comes back
///     prefix 2                      some topic has lost something
package struct TopicName: Hashable, Sendable {
    /// `gw_backplane.h`: a longer one is carried by no engine.
    package static let maximum = 1024

    /// The name of the route; empty for topics of the gateway.
    package let scope: String
    package let topic: [UInt8]

    package init(scope: String, topic: [UInt8]) { (self.scope, self.topic) = (scope, topic) }

    /// Nil when it is too long.
    func wire(prefix: [UInt8]) -> [UInt8]? {
        let count = prefix.count + 2 + scope.utf8.count + topic.count
        if count > Self.maximum { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        bytes += prefix
        bytes.append(0)
        bytes += scope.utf8
        bytes.append(0)
        bytes += topic
        return bytes
    }

    /// - Returns: nil for the name of something else.
    init?(wire: some BidirectionalCollection<UInt8>, prefix: [UInt8]) {
        guard wire.starts(with: prefix) else { return nil }
        let rest = wire.dropFirst(prefix.count)
        guard rest.first == 0 else { return nil }
        let names = rest.dropFirst()
        // A route has no NUL in it, a topic may.
        guard let border = names.firstIndex(of: 0) else { return nil }
        scope = String(decoding: names[..<border], as: UTF8.self)
        topic = Array(names[names.index(after: border)...])
        if topic.isEmpty { return nil }
    }

    /// The name that a gateway alone listens to.
    static func probe(prefix: [UInt8], origin: UInt64) -> [UInt8] {
        prefix + [1] + (0..<8).map { UInt8(truncatingIfNeeded: origin >> (8 * $0)) }
    }

    /// The name that all gateways listen to.
    static func losses(prefix: [UInt8]) -> [UInt8] { prefix + [2] }
}
