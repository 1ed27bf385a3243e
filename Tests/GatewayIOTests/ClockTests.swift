import GatewayIO
import Glibc
import Testing

@Suite("Clocks")
struct ClockTests {
    @Test("the monotonic clock does not go back; the wall clock is that of the system")
    func order() {
        var last = Clock.monotonicNanoseconds()
        for _ in 0..<1000 {
            let now = Clock.monotonicNanoseconds()
            #expect(now >= last)
            last = now
        }
        // The coarse clock may stand a tick behind the fine one.
        let (before, wall, after) = (Int64(time(nil)), Clock.wallSeconds(), Int64(time(nil)))
        #expect((before - 1...after).contains(wall))
    }
}
