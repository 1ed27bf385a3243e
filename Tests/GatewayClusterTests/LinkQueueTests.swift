import Testing

@testable import GatewayCluster

struct LinkQueueTests {
    private let queue = LinkQueue(origin: 7, most: 10_000, NumberEpochs())

    @discardableResult
    private func append(_ name: [UInt8], _ count: Int = 1, at: UInt64 = 0) -> LinkQueue.Outcome {
        [UInt8](repeating: 1, count: count).withUnsafeBytes {
            queue.append(name, .binary, $0, at: at, sent: 0).0
        }
    }

    private func losses() -> (named: [[UInt8]: Envelope], others: Bool) {
        let (notices, others) = queue.takeLosses(sent: 0)
        return (Dictionary(notices.map { ($0.name, $0.head) }) { first, _ in first }, others)
    }

    @Test func `the order is kept, and each name is numbered by itself`() {
        for name: [UInt8] in [[1], [2], [1], [1]] { append(name) }
        let first = queue.take(atMost: 1, bytes: .max)
        let rest = queue.take(atMost: 10, bytes: .max)
        let all = first + rest
        let base = all[0].head.number
        #expect(all.map(\.name) == [[1], [2], [1], [1]])
        #expect(all.map { $0.head.number - base } == [0, 0, 1, 2])
        #expect(all.map { $0.head.flags.contains(.first) } == [true, true, false, false])
        #expect(queue.isEmpty && queue.bytes == 0)
    }

    @Test func `above half it is high, above all it is full, and one of any size goes through an empty one`() {
        #expect(append([1], 50_000) == .high)
        #expect(append([2]) == .full)
        _ = queue.take(atMost: 10, bytes: .max)
        #expect(append([1], 1000) == .queued)
        #expect(append([1], 5000) == .high)
        #expect(append([1], 5000) == .full)
        let early = losses()
        #expect(Array(early.named.keys) == [[2]], "what came before that of 1 has not left")
        #expect(early.named[[2]]?.flags == .first, "nobody can miss it by its number")
        let taken = queue.take(atMost: 10, bytes: .max)
        let (named, others) = losses()
        #expect(Array(named.keys) == [[1]] && !others)
        #expect(named[[1]]?.number == (taken.last?.head.number ?? 0) + 1 && named[[1]]?.flags == [])
        #expect(losses().named.isEmpty)
    }

    @Test func `a loss is told behind what was put in before it, and in front of nothing else`() {
        append([1], 9000)
        #expect(append([2], 5000) == .full)
        _ = queue.take(atMost: 10, bytes: .max)
        append([2], 10)
        let lost = losses().named[[2]]
        #expect(lost.map { $0.number + 1 } == queue.take(atMost: 1, bytes: .max).first?.head.number)
    }

    @Test func `what was put back comes first`() {
        for name: UInt8 in 1...5 { append([name]) }
        let taken = queue.take(atMost: 3, bytes: .max)
        queue.putBack(taken[1...])
        #expect(queue.take(atMost: 10, bytes: .max).map(\.name) == [[2], [3], [4], [5]])
        #expect(queue.bytes == 0)
    }

    @Test func `what has waited too long is given up and told of`() {
        append([1], at: 10)
        append([2], at: 20)
        #expect(queue.oldest == 10)
        #expect(queue.expire(before: 15) == 1)
        #expect(queue.expire(before: 15) == 0)
        #expect(losses().named.isEmpty)
        #expect(queue.take(atMost: 10, bytes: .max).map(\.name) == [[2]])
        #expect(Array(losses().named.keys) == [[1]])
    }

    @Test func `of many topics that lost something only some are named`() {
        append([0], 50_000)
        for name: UInt8 in 1...40 { #expect(append([name]) == .full) }
        _ = queue.take(atMost: 10, bytes: .max)
        let (named, others) = losses()
        #expect(named.count == LinkQueue.mostNamed && others)
    }

    @Test func `what nobody could put together is not sent`() {
        #expect(append([1], PartAssembly.mostBytes + 1) == .full)
        #expect(queue.isEmpty && losses().named[[1]] != nil)
    }

    @Test func `another queue of the process numbers above it`() {
        let epochs = NumberEpochs()
        let numbers = (0..<2).map { _ in
            let queue = LinkQueue(origin: 7, most: 1000, epochs)
            _ = [UInt8]().withUnsafeBytes { queue.append([1], .text, $0, at: 0, sent: 0) }
            return queue.take(atMost: 1, bytes: 1)[0].head.number
        }
        #expect(numbers[0] < numbers[1])
    }
}
