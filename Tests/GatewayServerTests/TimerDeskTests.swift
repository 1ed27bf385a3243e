import Testing

@testable import GatewayServer

@Suite("The queue of timers gives them back in the order in which they are due")
struct TimerDeskTests {
    @Test(arguments: [1, 2, 3, 10, 1000])
    func `any order in, the right order out`(_ count: Int) {
        var queue = TimerQueue()
        var number = UInt64(12345)
        var dues: [UInt64] = []
        for _ in 0..<count {
            number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            dues.append(number >> 50)
            queue.insert(number, at: number >> 50)
        }
        var popped: [UInt64] = []
        while let entry = queue.popFirst(until: .max) { popped.append(entry.due) }
        #expect(popped == dues.sorted())
    }

    @Test func `what is not due stays`() {
        var queue = TimerQueue()
        queue.insert(1, at: 10)
        #expect(queue.popFirst(until: 9)?.number == nil)
        #expect(queue.first?.due == 10)
        #expect(queue.popFirst(until: 10)?.number == 1)
        #expect(queue.first?.number == nil)
    }
}
