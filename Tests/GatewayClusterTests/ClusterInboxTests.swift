import Synchronization
import Testing

@testable import GatewayCluster

struct ClusterInboxTests {
    /// Notes what it is given.
    private final class Members: ClusterHost {
        let heard = Mutex<[(topic: TopicName, payload: [UInt8])]>([])
        let gaps = Mutex<[TopicName?]>([])
        let isFull = Atomic<Bool>(false)

        let followed = Mutex<[TopicName]>([])
        func deliver(
            _ topic: TopicName, _ id: PublicationID, isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer
        ) -> Bool {
            if isFull.load(ordering: .relaxed) { return false }
            heard.withLock { $0.append((topic, Array(payload))) }
            return true
        }
        func noteGap(_ topic: TopicName?) { gaps.withLock { $0.append(topic) } }
        func noteFollowed(_ topic: TopicName) { followed.withLock { $0.append(topic) } }
        var keepsTopics: Bool { false }
        func log(_ level: ClusterLogLevel, _ text: String) {}
    }

    private let members = Members()
    private let counters = ClusterCounters()
    private let inbox: ClusterInbox
    private let twin = Twin()
    private let topic = TopicName(scope: "/chat", topic: [1, 2])
    private let prefix = Array("gateway".utf8)

    init() {
        inbox = ClusterInbox(origin: 7, twin: twin, prefix: prefix, counters: counters, host: members)
        if let name = topic.wire(prefix: prefix) { inbox.follow(name) }
    }

    private func hear(_ head: Envelope, _ payload: [UInt8] = [5], name: [UInt8]? = nil) {
        let name = name ?? topic.wire(prefix: prefix) ?? []
        let data = payload.withUnsafeBytes { head.bytes($0) }
        name.withUnsafeBytes { name in data.withUnsafeBytes { inbox.receive(name, $0) } }
    }

    private func publication(_ number: UInt64, origin: UInt64 = 8) -> Envelope {
        Envelope(kind: .publication, flags: .binary, origin: origin, number: number, sent: 0)
    }

    private var payloads: [[UInt8]] { members.heard.withLock { $0.map(\.payload) } }
    private var gaps: [TopicName?] { members.gaps.withLock { $0 } }

    @Test func `what others publish is delivered once, and what was published here is not`() {
        hear(publication(1), [1])
        hear(publication(1), [1])
        hear(publication(2), [2])
        hear(publication(1, origin: 7), [9])
        #expect(payloads == [[1], [2]] && gaps.isEmpty && counters.counts.received == 2)
    }

    @Test func `nor what another program of this gateway publishes`() {
        hear(publication(1, origin: 11), [1])
        twin.origin.store(11, ordering: .relaxed)
        hear(publication(2, origin: 11), [2])
        hear(publication(1), [3])
        #expect(payloads == [[1], [3]])
    }

    @Test func `a hole is a gap, and counts`() {
        hear(publication(1))
        hear(publication(4))
        #expect(gaps == [topic] && counters.counts.lost == 2 && payloads.count == 2)
    }

    @Test func `a publisher tells of what it could not send`() {
        hear(publication(1))
        hear(Envelope(kind: .loss, flags: [], origin: 8, number: 3, sent: 0), [])
        hear(publication(4))
        #expect(gaps == [topic] && counters.counts.lost == 2 && payloads.count == 2)
        hear(
            Envelope(kind: .loss, flags: [], origin: 8, number: 1, sent: 0), [], name: TopicName.losses(prefix: prefix))
        #expect(gaps == [topic, nil])
    }

    @Test func `garbage is counted and goes nowhere`() {
        let name = topic.wire(prefix: prefix) ?? []
        for data in [[], [1], [UInt8](repeating: 0, count: 100)] as [[UInt8]] {
            name.withUnsafeBytes { name in data.withUnsafeBytes { inbox.receive(name, $0) } }
        }
        hear(publication(1), name: [1, 2, 3])
        hear(Envelope(kind: .probe, flags: [], origin: 8, number: 1, sent: 0))
        #expect(counters.counts.rejected == 5 && payloads.isEmpty)
    }

    @Test func `what nobody follows any more is nobody's`() {
        inbox.forget(topic.wire(prefix: prefix) ?? [])
        hear(publication(1))
        hear(publication(9))
        #expect(payloads.isEmpty && gaps.isEmpty && counters.counts.rejected == 0)
    }

    @Test func `a part that is missing is a publication that is missing`() {
        var (first, last) = (publication(1), publication(1))
        (first.part, first.parts, last.part, last.parts) = (0, 2, 1, 2)
        hear(first, [1])
        hear(last, [2])
        #expect(payloads == [[1, 2]])
        (first.number, last.number) = (2, 3)
        hear(first, [1])
        hear(last, [2])
        hear(publication(4))
        #expect(payloads.count == 2 && counters.counts.lost == 2 && gaps == [topic])
    }

    @Test func `what a worker has no room for is a gap`() {
        members.isFull.store(true, ordering: .relaxed)
        hear(publication(1))
        #expect(gaps == [topic] && counters.counts.lost == 1)
    }

    private func pass(_ number: UInt64, origin: UInt64 = 8) -> Bool {
        inbox.notePassed(PublicationID(origin: origin, number: number), topic)
    }

    @Test func `what a twin passes on is not delivered, and what it has not passed on is when it ends`() {
        inbox.beginBeside()
        for number: UInt64 in 1...5 { hear(publication(number), [UInt8(number)]) }
        #expect(payloads.isEmpty && pass(1) && pass(2) && pass(3))
        inbox.goOnAlone()
        #expect(payloads == [[4], [5]] && gaps.isEmpty)
        hear(publication(5), [5])
        hear(publication(6), [6])
        #expect(payloads == [[4], [5], [6]] && gaps.isEmpty)
    }

    @Test func `what the engine brings later than the twin has come`() {
        inbox.beginBeside()
        #expect(pass(1) && pass(2))
        hear(publication(1), [1])
        inbox.goOnAlone()
        hear(publication(2), [2])
        hear(publication(3), [3])
        #expect(payloads == [[3]] && gaps.isEmpty)
    }

    @Test func `what a twin has missed comes before what it passes on behind it`() {
        inbox.beginBeside()
        for number: UInt64 in 1...4 { hear(publication(number), [UInt8(number)]) }
        #expect(pass(1) && pass(4) && !pass(4) && !pass(3))
        #expect(payloads == [[2], [3]] && gaps.isEmpty)
        #expect(pass(6))
        #expect(gaps == [topic])
    }

    @Test func `a twin that hears a topic only from now on has missed what came before`() {
        inbox.beginBeside()
        hear(publication(1), [1])
        hear(publication(1, origin: 9), [2])
        hear(publication(2), [3])
        inbox.noteShared(topic)
        #expect(payloads == [[1], [2], [3]])
        #expect(!pass(2) && pass(3))
    }

    @Test func `topics that come to be beside a twin are told of once`() {
        let other = TopicName(scope: "", topic: [9])
        guard let name = other.wire(prefix: prefix) else { return }
        inbox.beginBeside()
        inbox.follow(name)
        inbox.follow(name)
        #expect(members.followed.withLock { $0 } == [other])
        inbox.goOnAlone()
        inbox.forget(name)
        inbox.follow(name)
        #expect(members.followed.withLock { $0 }.count == 1)
    }
}
