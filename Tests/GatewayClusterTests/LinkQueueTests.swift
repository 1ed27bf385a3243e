import Testing

@testable import GatewayCluster

struct LinkQueueTests {
    private let queue = LinkQueue(origin: 7, most: 10_000, NumberEpochs())

    @discardableResult
    private func append(_ name: [UInt8], _ count: Int = 1, at: UInt64 = 0) -> LinkQueue.Outcome? {
        guard let name = queue.name(name) else { return nil }
        return [UInt8](repeating: 1, count: count).withUnsafeBytes { queue.append(name, .binary, $0, at: at) }
    }

    /// What was lent has left.
    @discardableResult
    private func send() -> [(name: [UInt8], entry: PublicationRun.Entry)] {
        let lent = queue.lend()
        let all = Self.entries(lent)
        queue.giveBack(lent, behind: all.count)
        return all
    }

    private static func entries(_ runs: [PublicationRun]) -> [(name: [UInt8], entry: PublicationRun.Entry)] {
        runs.flatMap { run in (0..<run.count).map { (run.name(of: run[$0]).copy, run[$0]) } }
    }

    private func losses() -> (named: [[UInt8]: Envelope], others: Bool) {
        let (notices, others) = queue.takeLosses(sent: 0)
        return (Dictionary(notices.map { ($0.name, $0.head) }) { first, _ in first }, others)
    }

    @Test func `the order is kept, and each name is numbered by itself`() {
        for name: [UInt8] in [[1], [2], [1]] { append(name) }
        let first = send()
        append([1])
        let all = first + send()
        let base = all[0].entry.number
        #expect(all.map(\.name) == [[1], [2], [1], [1]])
        #expect(all.map { $0.entry.number - base } == [0, 0, 1, 2])
        #expect(all.map { $0.entry.flags.contains(.first) } == [true, true, false, false])
        #expect(queue.isEmpty && queue.bytes == 0)
    }

    @Test func `above half it is high, above all it is full, and one of any size goes through an empty one`() {
        #expect(append([1], 50_000) == .high)
        #expect(append([2]) == .full)
        send()
        #expect(append([1], 1000) == .queued)
        #expect(append([1], 5000) == .high)
        #expect(append([1], 5000) == .full)
        let early = losses()
        #expect(Array(early.named.keys) == [[2]], "what came before that of 1 has not left")
        #expect(early.named[[2]]?.flags == .first, "nobody can miss it by its number")
        let taken = send()
        let (named, others) = losses()
        #expect(Array(named.keys) == [[1]] && !others)
        #expect(named[[1]]?.number == (taken.last?.entry.number ?? 0) + 1 && named[[1]]?.flags == [])
        #expect(losses().named.isEmpty)
    }

    @Test func `a loss is told behind what was put in before it, and in front of nothing else`() {
        append([1], 9000)
        #expect(append([2], 5000) == .full)
        send()
        append([2], 10)
        let lost = losses().named[[2]]
        #expect(lost.map { $0.number + 1 } == send().first?.entry.number)
    }

    @Test func `what was given back comes first, and counts again`() {
        for name: UInt8 in 1...3 { append([name]) }
        let bytes = queue.bytes
        let lent = queue.lend()
        #expect(queue.isEmpty && queue.bytes == 0)
        for name: UInt8 in 4...5 { append([name]) }
        queue.giveBack(lent, behind: 1)
        #expect(queue.bytes == bytes / 3 * 4)
        let rest = send() + send()
        #expect(rest.map(\.name) == [[2], [3], [4], [5]])
        #expect(queue.bytes == 0)
    }

    @Test func `as many are lent as go at once, or one that is larger`() {
        let queue = LinkQueue(origin: 7, most: 1 << 30, NumberEpochs())
        guard let name = queue.name([1]) else { return #expect(Bool(false)) }
        func append(_ count: Int) {
            let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: count), count: count)
            #expect(payload.withUnsafeBytes { queue.append(name, .binary, $0, at: 0) } == .queued)
        }
        for _ in 0..<600 { append(100) }
        for _ in 0..<3 { append(900_000) }
        var sizes: [[Int]] = []
        while true {
            let lent = queue.lend()
            if lent.isEmpty { break }
            sizes.append(Self.entries(lent).map(\.entry.count))
            for run in lent {
                for index in 0..<run.count {
                    let payload = run.payload(run[index])
                    #expect(payload.allSatisfy { $0 == UInt8(truncatingIfNeeded: payload.count) })
                }
            }
            queue.giveBack(lent, behind: sizes.last?.count ?? 0)
        }
        #expect(sizes.map(\.count).reduce(0, +) == 603)
        #expect(sizes.allSatisfy { $0.count <= Engine.batch && ($0.count == 1 || $0.reduce(0, +) <= 1 << 20) })
        #expect(sizes[0].count == Engine.batch, "\(sizes.map(\.count))")
    }

    @Test func `what has waited too long is given up and told of`() {
        append([1], at: 10)
        append([2], at: 20)
        #expect(queue.oldest == 10)
        #expect(queue.expire(before: 15) == 1)
        #expect(queue.expire(before: 15) == 0)
        #expect(losses().named.isEmpty)
        #expect(send().map(\.name) == [[2]])
        #expect(Array(losses().named.keys) == [[1]])
    }

    @Test func `of many topics that lost something only some are named`() {
        append([0], 50_000)
        for name: UInt8 in 1...40 { #expect(append([name]) == .full) }
        send()
        let (named, others) = losses()
        #expect(named.count == LinkQueue.mostNamed && others)
    }

    @Test func `what nobody could put together is not sent`() {
        #expect(append([1], PartAssembly.mostBytes + 1) == .full)
        #expect(queue.isEmpty && losses().named[[1]] != nil)
    }

    @Test func `whoever waits is woken by one, behind what he has put in`() {
        #expect(!queue.takeBell())
        queue.noteWaiting()
        append([1])
        #expect(queue.takeBell() && !queue.takeBell())
        queue.noteWaiting()
        #expect(!queue.takeBell(), "something is here: it does not wait")
        send()
        queue.noteWaiting()
        guard let name = queue.name([1]) else { return #expect(Bool(false)) }
        let answer = [UInt8]().withUnsafeBytes { queue.tryAppend(name, .text, $0, at: 0) }
        #expect(answer?.isAwaited == true && answer?.isHigh == false)
    }

    @Test func `a closed queue gives all away and takes nothing more`() {
        append([1])
        append([2])
        guard let name = queue.name([1]) else { return #expect(Bool(false)) }
        #expect(Self.entries(queue.close()).map(\.name) == [[1], [2]])
        #expect([UInt8]().withUnsafeBytes { queue.append(name, .text, $0, at: 0) } == nil)
        #expect(queue.name([1]) == nil && queue.isEmpty && queue.bytes == 0)
    }

    @Test func `names are asked for again when they are numbered anew, and above what was`() {
        append([1])
        guard let old = queue.name([1]) else { return #expect(Bool(false)) }
        queue.renew()
        #expect([UInt8]().withUnsafeBytes { queue.append(old, .text, $0, at: 0) } == nil)
        append([1])
        let all = send().map(\.entry)
        #expect(all[0].number < all[1].number && all[1].flags.contains(.first))
    }

    @Test func `another queue of the process numbers above it`() {
        let epochs = NumberEpochs()
        let numbers = (0..<2).map { _ in
            let queue = LinkQueue(origin: 7, most: 1000, epochs)
            guard let name = queue.name([1]) else { return UInt64(0) }
            _ = [UInt8]().withUnsafeBytes { queue.append(name, .text, $0, at: 0) }
            return Self.entries(queue.lend()).first?.entry.number ?? 0
        }
        #expect(0 < numbers[0] && numbers[0] < numbers[1])
    }
}
