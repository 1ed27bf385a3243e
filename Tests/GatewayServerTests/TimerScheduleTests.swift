import Testing

@testable import GatewayServer

@Suite("The schedule of timers gives them back in the order in which they are due")
struct TimerScheduleTests {
    private func scattered(_ count: Int) -> [UInt64] {
        var number = UInt64(12345)
        return (0..<count).map { _ in
            number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return number >> 50
        }
    }

    private func popAll(_ schedule: inout TimerSchedule) -> [UInt64] {
        var popped: [UInt64] = []
        while let entry = schedule.popFirst(until: .max) { popped.append(entry.due) }
        return popped
    }

    @Test(arguments: [1, 2, 3, 10, 1000])
    func `any order in, the right order out`(_ count: Int) {
        var schedule = TimerSchedule()
        let dues = scattered(count)
        for due in dues { schedule.insert(due, at: due) }
        #expect(popAll(&schedule) == dues.sorted())
    }

    @Test func `what is not due stays`() {
        var schedule = TimerSchedule()
        schedule.insert(1, at: 10)
        #expect(schedule.popFirst(until: 9)?.number == nil)
        #expect(schedule.first?.due == 10)
        #expect(schedule.popFirst(until: 10)?.number == 1)
        #expect(schedule.first?.number == nil)
    }

    @Test(arguments: [1, 2, 3, 10, 1000])
    func `what is left after a removal still comes in order`(_ count: Int) {
        var schedule = TimerSchedule()
        let dues = scattered(count)
        for due in dues { schedule.insert(due, at: due) }
        schedule.removeAll { $0 % 3 != 0 }
        #expect(schedule.count == dues.count { $0 % 3 == 0 })
        #expect(popAll(&schedule) == dues.filter { $0 % 3 == 0 }.sorted())
    }
}
