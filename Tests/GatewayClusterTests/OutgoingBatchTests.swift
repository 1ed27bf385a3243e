import Testing

@testable import GatewayCluster

struct OutgoingBatchTests {
    /// Runs with payloads of some sizes.
    private func lent(_ sizes: Int...) -> [PublicationRun] {
        let queue = LinkQueue(origin: 7, most: 1 << 30, NumberEpochs())
        for (index, size) in sizes.enumerated() {
            guard let name = queue.name([UInt8(index)]) else { return [] }
            let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
            _ = payload.withUnsafeBytes { queue.append(name, .binary, $0, at: 0) }
        }
        return queue.lend()
    }

    /// Name, part, parts and payload of each, as the engine gets it.
    private func read(_ batch: OutgoingBatch) -> [(name: [UInt8], part: UInt32, parts: UInt32, payload: [UInt8])] {
        batch.publications.map { publication in
            guard let (head, payload) = Envelope.read(publication.data), head.origin == 9 else {
                return ([], 0, 0, [])
            }
            return (Array(publication.name), head.part, head.parts, Array(payload))
        }
    }

    @Test func `each is sent from where it was put, in order`() {
        let all = read(OutgoingBatch(lent(3, 0, 20_000), from: 0, room: 0, origin: 9))
        #expect(all.map(\.name) == [[0], [1], [2]] && all.allSatisfy { $0.parts == 1 })
        #expect(all.map(\.payload.count) == [3, 0, 20_000])
        #expect(all[2].payload == (0..<20_000).map { UInt8(truncatingIfNeeded: $0) })
    }

    @Test func `what the engine does not take whole goes in parts`() {
        let batch = OutgoingBatch(lent(10, 3000, 10), from: 0, room: 1064, origin: 9)
        let all = read(batch)
        #expect(all.map(\.part) == [0, 0, 1, 2, 0] && all.map(\.parts) == [1, 3, 3, 3, 1])
        #expect(all[1...3].flatMap(\.payload) == (0..<3000).map { UInt8(truncatingIfNeeded: $0) })
        #expect(batch.count == 3)
        #expect((0...5).map(batch.whole(upTo:)) == [0, 1, 1, 1, 2, 3], "a part is not the whole")
    }

    @Test func `what has been sent is passed over`() {
        let runs = lent(1, 20_000, 3, 20_000)
        #expect(runs.count > 1)
        for done in 0...4 {
            let batch = OutgoingBatch(runs, from: done, room: 0, origin: 9)
            #expect(read(batch).map(\.name) == (done..<4).map { [UInt8($0)] })
            if done < 4 { #expect(batch.entry(0).to.copy == [UInt8(done)]) }
        }
    }
}
