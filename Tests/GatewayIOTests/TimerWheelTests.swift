import GatewayIO
import TestSupport
import Testing

/// The wheel as one would write it without thinking of speed.
private struct Model {
    var hand: UInt32
    var deadlines: [UInt32: UInt32] = [:]

    mutating func arm(_ slot: UInt32, at deadline: UInt32) { deadlines[slot] = max(deadline, hand + 1) }

    mutating func advance(to now: UInt32) -> Set<UInt32> {
        guard now > hand else { return [] }
        hand = now
        let due = deadlines.filter { $0.value <= now }
        for slot in due.keys { deadlines[slot] = nil }
        return Set(due.keys)
    }

    var next: UInt32? { deadlines.values.min().map { $0 - hand } }
}

@Suite("A timer wheel tells each slot once, never before its tick, and never late")
struct TimerWheelTests {
    private func wheel(_ capacity: Int = 64, now: UInt32 = 100) -> TimerWheel {
        guard let wheel = TimerWheel(capacity: capacity, now: now) else { preconditionFailure("no address space") }
        return wheel
    }

    @Test(
        "a slot is due at its tick", arguments: [1, 2, 31, 1022, 1023, 1024, 1025, 2048, 5000, 1_000_000] as [UInt32])
    func due(_ ticks: UInt32) {
        var wheel = wheel()
        wheel.arm(7, at: 100 + ticks)
        var due: [UInt32] = []
        if ticks > 1 {
            wheel.advance(to: 100 + ticks - 1, due: &due)
            #expect(due.isEmpty)
            let (deadline, armed) = (wheel.deadline(of: 7), wheel.armed)
            #expect(deadline == 100 + ticks)
            #expect(armed == 1)
        }
        wheel.advance(to: 100 + ticks, due: &due)
        #expect(due == [7])
        let (deadline, armed, next) = (wheel.deadline(of: 7), wheel.armed, wheel.ticksUntilNext())
        #expect(deadline == nil)
        #expect(armed == 0)
        #expect(next == nil)
    }

    @Test(
        "following ticksUntilNext wakes at the tick, over several laps",
        arguments: [1, 1023, 1024, 3000, 10_240] as [UInt32])
    func follow(_ ticks: UInt32) {
        var wheel = wheel()
        wheel.arm(3, at: 100 + ticks)
        var now: UInt32 = 100
        var due: [UInt32] = []
        var wakes = 0
        while let step = wheel.ticksUntilNext() {
            #expect(step >= 1, "no spinning")
            now += step
            wakes += 1
            wheel.advance(to: now, due: &due)
        }
        #expect(due == [3])
        #expect(now == 100 + ticks)
        #expect(wakes <= Int(ticks / 1024) + 2, "at most once a lap")
    }

    @Test("a deadline in the past, or now, is due at the next tick", arguments: [0, 1, 99, 100, 101] as [UInt32])
    func past(_ deadline: UInt32) {
        var wheel = wheel()
        wheel.arm(0, at: deadline)
        let next = wheel.ticksUntilNext()
        #expect(next == 1)
        var due: [UInt32] = []
        wheel.advance(to: 100, due: &due)
        #expect(due.isEmpty)
        wheel.advance(to: 101, due: &due)
        #expect(due == [0])
    }

    @Test("arming again moves; cancelling forgets; neither needs to know")
    func move() {
        var wheel = wheel()
        var due: [UInt32] = []
        wheel.cancel(5)
        wheel.arm(5, at: 110)
        wheel.arm(5, at: 110)
        wheel.arm(5, at: 120)
        let armed = wheel.armed
        #expect(armed == 1)
        wheel.advance(to: 119, due: &due)
        #expect(due.isEmpty)
        wheel.arm(5, at: 115)
        wheel.advance(to: 120, due: &due)
        #expect(due == [5], "a deadline moved into the past is due at the next tick")
        wheel.arm(5, at: 130)
        wheel.cancel(5)
        wheel.cancel(5)
        wheel.advance(to: 9999, due: &due)
        #expect(due == [5])
        let left = wheel.armed
        #expect(left == 0)
    }

    @Test("slots that share a bucket are told apart, in whatever order they go")
    func bucket() {
        for cancelled in 0..<5 as Range<UInt32> {
            var wheel = wheel()
            // All of them in one bucket, on five laps.
            for slot in 0..<5 as Range<UInt32> { wheel.arm(slot, at: 200 + slot * 1024) }
            wheel.cancel(cancelled)
            var seen: [UInt32] = []
            for lap in 0..<5 as Range<UInt32> {
                var due: [UInt32] = []
                wheel.advance(to: 200 + lap * 1024, due: &due)
                #expect(due == (lap == cancelled ? [] : [lap]))
                seen += due
            }
            #expect(seen.count == 4)
        }
    }

    @Test("a long sleep tells everything, once", arguments: [1024, 1025, 4096, 1 << 30] as [UInt32])
    func oversleep(_ ticks: UInt32) {
        var wheel = wheel(3000)
        for slot in 0..<3000 as Range<UInt32> { wheel.arm(slot, at: 101 + slot * 7 % 1024) }
        var due: [UInt32] = []
        wheel.advance(to: 100 + ticks, due: &due)
        #expect(due.sorted() == Array(0..<3000))
        wheel.advance(to: 100 + ticks * 2, due: &due)
        #expect(due.count == 3000)
    }

    @Test("time that stands still or goes back changes nothing")
    func back() {
        var wheel = wheel()
        wheel.arm(1, at: 101)
        var due: [UInt32] = []
        wheel.advance(to: 100, due: &due)
        wheel.advance(to: 50, due: &due)
        wheel.advance(to: 0, due: &due)
        #expect(due.isEmpty)
        wheel.advance(to: 101, due: &due)
        #expect(due == [1])
    }

    @Test("random use against a model", arguments: 0..<120 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let start: UInt32 = seed % 3 == 0 ? 0 : seed % 3 == 1 ? 5000 : UInt32.max - 500_000
        var wheel = wheel(40, now: start)
        var model = Model(hand: start)
        for _ in 0..<300 {
            let slot = UInt32.random(in: 0..<40, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1, 2:
                let reach: UInt32 = random.once(in: 3) ? 6000 : 60
                let back: UInt32 = random.once(in: 8) ? min(20, model.hand) : 0
                let deadline = model.hand - back + UInt32.random(in: 0...reach, using: &random)
                wheel.arm(slot, at: deadline)
                model.arm(slot, at: deadline)
            case 3:
                wheel.cancel(slot)
                model.deadlines[slot] = nil
            default:
                let step: UInt32 = random.once(in: 10) ? 3000 : random.once(in: 3) ? 40 : 2
                let now = model.hand + UInt32.random(in: 0...step, using: &random)
                var due: [UInt32] = []
                wheel.advance(to: now, due: &due)
                #expect(due.sorted() == model.advance(to: now).sorted())
            }
            let (armed, next) = (wheel.armed, wheel.ticksUntilNext())
            #expect(armed == model.deadlines.count)
            #expect((next == nil) == (model.next == nil))
            if let next, let latest = model.next { #expect((1...latest).contains(next), "never late, never a spin") }
            let deadline = wheel.deadline(of: slot)
            #expect(deadline == model.deadlines[slot])
        }
    }

    @Test(
        "milliseconds become ticks, rounded up, at least one",
        arguments: [
            (.min, 1), (-1, 1), (0, 1), (1, 1), (31, 1), (32, 1), (33, 2), (64, 2), (65, 3), (10_000, 313),
            (.max, UInt32.max / 4), (Int64(UInt32.max) * 32, UInt32.max / 4),
        ] as [(Int64, UInt32)])
    func ticks(_ milliseconds: Int64, ticks: UInt32) {
        #expect(TimerWheel.ticks(milliseconds: milliseconds) == ticks)
    }
}
