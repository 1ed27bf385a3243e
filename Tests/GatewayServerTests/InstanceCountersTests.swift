import CLinux
import Testing

@testable import GatewayServer

@Suite("InstanceCounters: the sum over workers, and for how long it is there")
struct InstanceCountersTests {
    private func name(_ generation: UInt64, route: String = "/r") -> InstanceCounters.Name {
        .init(route: route, handler: "h", generation: generation)
    }

    @Test func `the workers are added up`() {
        let counters = InstanceCounters(name(1), workers: 3)
        for (index, worker) in counters.workers.enumerated() {
            worker.received.count(messages: UInt32(index), kinds: UInt32(index), bytes: 10)
            worker.opened.count()
            worker.noteClose(code: 1000, by: 1)
            worker.noteHandshake(nanoseconds: 1)
        }
        let reading = counters.reading
        #expect(reading.received == .init(text: 3, binary: 0, bytes: 30))
        #expect(reading.opened == 3 && reading.handshakes.count == 3)
        #expect(reading.closes.values.reduce(0, +) == 3)
    }

    @Test func `instances of one generation at one route count together`() {
        let directory = CounterDirectory()
        let first = directory.begin(name(1), workers: 1)
        #expect(directory.begin(name(1), workers: 1) === first)
        #expect(directory.begin(name(2), workers: 1) !== first)
        #expect(directory.begin(name(1, route: "/s"), workers: 1) !== first)
        #expect(directory.all.count == 3)
    }

    @Test func `those that have ended are remembered, but not for ever`() {
        let directory = CounterDirectory()
        let other = directory.begin(name(1, route: "/s"), workers: 1)
        directory.end(other)
        for generation: UInt64 in 1...20 { directory.end(directory.begin(name(generation), workers: 1)) }
        let living = directory.begin(name(1), workers: 1)
        for generation: UInt64 in 21...30 { directory.end(directory.begin(name(generation), workers: 1)) }
        // The oldest one lives, and so it stays.
        #expect(directory.all.map(\.name.generation) == [1, 27, 28, 29, 30, 1])
        #expect(directory.all.first === living && directory.all.last === other)
    }

    @Test func `a generation with a second instance has not ended with the first`() {
        let directory = CounterDirectory()
        let counters = directory.begin(name(1), workers: 1)
        _ = directory.begin(name(1), workers: 1)
        directory.end(counters)
        for generation: UInt64 in 2...20 { directory.end(directory.begin(name(generation), workers: 1)) }
        #expect(directory.all.contains { $0 === counters })
    }

    @Test func `what a forgotten generation has counted still counts for its route`() {
        let directory = CounterDirectory()
        for generation: UInt64 in 1...9 {
            let counters = directory.begin(name(generation), workers: 1)
            counters.workers[0].received.count(messages: 1, kinds: 1, bytes: 10)
            counters.workers[0].noteHandshake(nanoseconds: 1)
            counters.workers[0].noteClose(code: 1000, by: 1)
            counters.pool.observeAmongOthers(CLINUX_MESSAGE, nanoseconds: 1)
            directory.end(counters)
        }
        directory.end(directory.begin(name(1, route: "/s"), workers: 1))
        let readings = directory.readings
        #expect(Set(readings.keys) == ["/r", "/s"])
        var total = TrafficReading()
        readings["/r"]?.forEach { total.add($0) }
        #expect(total.received == .init(text: 9, binary: 0, bytes: 90))
        #expect(total.handshakes.count == 9 && total.closes.values.reduce(0, +) == 9)
        #expect(total.callbacks.values.reduce(0) { $0 + $1.count } == 9)
    }
}
