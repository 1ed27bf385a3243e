import Testing

@testable import GatewayServer

@Suite("busy_poll: when a worker sleeps")
struct BusyPollWindowTests {
    /// Looks at these times find so many events; how long after the last one a worker may look again at once.
    private func watch(_ looks: [(events: Int, time: UInt64)]) -> BusyPollWindow {
        var watch = BusyPollWindow()
        for look in looks { watch.note(events: look.events, now: look.time) }
        return watch
    }

    @Test func `off it always sleeps`() {
        #expect(!watch([(1, 100)]).looksAgain(for: 0, now: 100))
        #expect(!watch([(0, 100)]).looksAgain(for: 0, now: 100))
    }

    @Test func `after an event it looks again however long the turn took`() {
        #expect(watch([(1, 100)]).looksAgain(for: 1, now: 100))
        #expect(watch([(1, 100)]).looksAgain(for: 1, now: .max))
    }

    @Test func `the time counts from the first look that found nothing`() {
        let watch = watch([(3, 100), (0, 200), (0, 220)])
        #expect(watch.looksAgain(for: 50, now: 249))
        #expect(!watch.looksAgain(for: 50, now: 250))
        #expect(!watch.looksAgain(for: 50, now: .max))
    }

    @Test func `waking for a deadline is no event`() {
        #expect(!watch([(1, 100), (0, 200), (0, 9000)]).looksAgain(for: 50, now: 9000))
    }

    @Test func `an event begins it anew`() {
        #expect(watch([(0, 200), (1, 9000)]).looksAgain(for: 50, now: 9000))
        #expect(watch([(0, 200), (1, 9000), (0, 9010)]).looksAgain(for: 50, now: 9059))
    }
}
