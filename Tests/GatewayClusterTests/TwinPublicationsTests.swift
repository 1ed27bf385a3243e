import TestSupport
import Testing

@testable import GatewayCluster

struct TwinPublicationsTests {
    private let topic = TopicName(scope: "/chat", topic: [1])

    private func kept(_ number: UInt64, origin: UInt64 = 8, size: Int = 1, name: [UInt8] = [1]) -> TwinPublications.Kept
    {
        .init(
            topic: topic, name: name,
            head: Envelope(kind: .publication, flags: .binary, origin: origin, number: number, sent: 0),
            payload: [UInt8](repeating: 0, count: size))
    }

    /// Publications of several origins to several names come by the engine and by the twin, each way in its order and as fast
    /// as it likes, until the twin ends. The twin begins later, where it had nobody of a name.
    @Test(arguments: 0..<200)
    func `each is heard once and in its order, whichever way is faster`(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var twin = TwinPublications(behind: [:])
        let names: [[UInt8]] = [[1], [2]], origins: [UInt64] = [8, 9, 10]
        var all: [(name: [UInt8], id: PublicationID)] = []
        var numbers: [[UInt8]: [UInt64: UInt64]] = [:]
        for _ in 0..<60 {
            guard let name = names.randomElement(using: &random), let origin = origins.randomElement(using: &random)
            else {
                return
            }
            numbers[name, default: [:]][origin, default: 1 << 40] += 1
            all.append((name, PublicationID(origin: origin, number: numbers[name]?[origin] ?? 0)))
        }
        var heard: [(name: [UInt8], id: PublicationID)] = []
        func hear(_ some: [TwinPublications.Kept]) {
            for one in some { heard.append((one.name, .init(origin: one.head.origin, number: one.head.number))) }
        }
        var (here, there) = (0, 0)
        let end = Int.random(in: 0...all.count, using: &random)
        while there < end || here < end {
            if Bool.random(using: &random), here < all.count {
                twin.keep(kept(all[here].id.number, origin: all[here].id.origin, name: all[here].name))
                here += 1
            } else if there < end {
                let (missed, verdict) = twin.pass(all[there].id, all[there].name)
                hear(missed)
                if verdict != .doubled { heard.append(all[there]) }
                there += 1
            }
        }
        hear(twin.takeAll())
        for one in all[here...] where !(twin.passed[one.name]?.covers(one.id.number, of: one.id.origin) ?? false) {
            heard.append(one)
        }
        for name in names {
            for origin in origins {
                func those(_ list: [(name: [UInt8], id: PublicationID)]) -> [UInt64] {
                    list.filter { $0.name == name && $0.id.origin == origin }.map(\.id.number)
                }
                #expect(those(heard) == those(all))
            }
        }
    }

    @Test func `too much is given up, and known`() {
        var twin = TwinPublications(behind: [:])
        for number: UInt64 in 1...64 { twin.keep(kept(number, size: 1 << 20)) }
        #expect(twin.hasLost)
        twin.keep(kept(65))
        #expect(twin.takeAll().map(\.head.number) == [65])
    }

    @Test func `what comes neither way is known to be lost`() {
        var twin = TwinPublications(behind: [:])
        _ = twin.pass(PublicationID(origin: 8, number: 3), [1])
        twin.keep(kept(5))
        #expect(twin.takeAll().map(\.head.number) == [5] && twin.hasLost)
    }

    @Test func `what is passed on at once takes no room`() {
        var twin = TwinPublications(behind: [:])
        for number: UInt64 in 1...200 {
            twin.keep(kept(number, size: 1 << 20))
            #expect(twin.pass(PublicationID(origin: 8, number: number), [1]).0.isEmpty)
        }
        #expect(!twin.hasLost && twin.takeAll().isEmpty)
    }
}
