import Testing

@testable import GatewayCluster

struct TopicNameTests {
    private let prefix = Array("gateway".utf8)

    @Test(
        arguments: [
            ("/chat", "red"), ("", "news"), ("a.example/rooms/:room", "ein Raum"), ("/a/*", "\u{0}\u{1} > * ."),
        ])
    func `a name comes back as it was`(scope: String, topic: String) throws {
        let name = TopicName(scope: scope, topic: Array(topic.utf8))
        let wire = try #require(name.wire(prefix: prefix))
        #expect(TopicName(wire: wire, prefix: prefix) == name)
    }

    @Test func `topics of two routes, of the gateway and of another prefix are different`() {
        let names = [("/a", "b"), ("/ab", ""), ("", "/a"), ("/", "ab"), ("", "ab")]
        let wires = names.compactMap { TopicName(scope: $0.0, topic: Array($0.1.utf8)).wire(prefix: prefix) }
        #expect(Set(wires).count == names.count)
        let other = TopicName(scope: "/a", topic: [1]).wire(prefix: Array("gateway2".utf8))
        #expect(other.flatMap { TopicName(wire: $0, prefix: prefix) } == nil)
    }

    @Test(arguments: [[], [0], Array("gateway".utf8), Array("gateway\u{0}".utf8), Array("gateway\u{0}/r\u{0}".utf8)])
    func `what is no topic has no name`(wire: [UInt8]) {
        #expect(TopicName(wire: wire, prefix: Array("gateway".utf8)) == nil)
    }

    @Test func `neither the name of a probe nor that of losses is a topic`() {
        #expect(TopicName(wire: TopicName.probe(prefix: prefix, origin: 7), prefix: prefix) == nil)
        #expect(TopicName(wire: TopicName.losses(prefix: prefix), prefix: prefix) == nil)
        #expect(TopicName.probe(prefix: prefix, origin: 7) != TopicName.probe(prefix: prefix, origin: 8))
    }

    @Test func `a name beyond the limit is carried by nobody`() {
        let most = TopicName.maximum - prefix.count - 2
        #expect(TopicName(scope: "", topic: [UInt8](repeating: 1, count: most)).wire(prefix: prefix)?.count == 1024)
        #expect(TopicName(scope: "", topic: [UInt8](repeating: 1, count: most + 1)).wire(prefix: prefix) == nil)
    }
}
