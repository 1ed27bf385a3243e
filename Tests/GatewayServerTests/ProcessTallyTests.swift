import GatewayIO
import GatewayMetrics
import Glibc
import Testing

@testable import GatewayServer

enum TallySamples {
    static var tally: ProcessTally {
        var tally = ProcessTally()
        tally.residentBytes = 12 << 20
        tally.routes = [route]
        tally.rejections = [.init(word: "no-route", count: 7)]
        tally.metrics = [
            .init(
                name: "handler_chat_jobs", help: "Jobs.", kind: 2, route: "/chat", value: 2.5, buckets: [1, 2, 3],
                count: 9)
        ]
        return tally
    }

    static var route: ProcessTally.RouteTally {
        var route = ProcessTally.RouteTally(route: "/chat")
        (route.failures, route.stalls) = (3, 4)
        route.costs = .init(writeTimeouts: 1, closed: 2, droppedNew: 3, droppedOld: 4, pausedReads: 5)
        route.reading.received = .init(text: 10, binary: 20, bytes: 30)
        route.reading.sent = .init(text: 1, binary: 2, bytes: 3)
        (route.reading.opened, route.reading.open) = (8, 5)
        (route.reading.moved, route.reading.refused, route.reading.abandoned) = (1, 2, 3)
        route.reading.closes = [
            .init(code: "1000", initiator: "peer"): 4, .init(code: "4xxx", initiator: "handler"): 1,
        ]
        let histogram = DurationHistogram(.wait)
        histogram.observe(nanoseconds: 300_000)
        route.reading.handshakes = histogram.reading
        let callbacks = DurationHistogram(.callback)
        callbacks.observe(nanoseconds: 2000)
        route.reading.callbacks = ["message": callbacks.reading]
        return route
    }
}

@Suite("ProcessTally and TallyBook: what a process has counted comes over, and counts on with the next one")
struct ProcessTallyTests {
    private static func copy(_ tally: ProcessTally) throws -> ProcessTally {
        var reader = SuccessionReader(SuccessionMessage.tally(tally).bytes)
        guard case .tally(let read)? = try reader.next() else { throw Errno(EBADMSG) }
        return read
    }

    @Test("all of it comes over")
    func comesOver() throws {
        let read = try Self.copy(TallySamples.tally)
        let route = try #require(read.routes.first)
        #expect(read.residentBytes == 12 << 20)
        #expect(route.route == "/chat")
        #expect((route.failures, route.stalls) == (3, 4))
        #expect(route.costs == TallySamples.route.costs)
        #expect(route.reading.received == TallySamples.route.reading.received)
        #expect(route.reading.closes == TallySamples.route.reading.closes)
        #expect(route.reading.handshakes == TallySamples.route.reading.handshakes)
        #expect(route.reading.callbacks == TallySamples.route.reading.callbacks)
        #expect(read.rejections.map(\.word) == ["no-route"])
        #expect(read.metrics.map(\.buckets) == [[1, 2, 3]])
    }

    @Test("what has the same counts has the same bytes, whatever order its tables have")
    func isStable() throws {
        let bytes = SuccessionMessage.tally(TallySamples.tally).bytes
        for _ in 0..<20 { #expect(SuccessionMessage.tally(try Self.copy(TallySamples.tally)).bytes == bytes) }
    }

    @Test("histograms of other buckets are refused")
    func refuses() {
        var tally = TallySamples.tally
        tally.routes[0].reading.handshakes = HistogramReading(bounds: [1])
        #expect(throws: SuccessionFailure.self) { try Self.copy(tally) }
    }

    @Test("a reading of processes that follow each other is the sum of them, but for connections that are open")
    func elsewhere() {
        let elsewhere = ElsewhereReading()
        elsewhere.note(TallySamples.route.reading)
        elsewhere.note(TallySamples.route.reading)
        #expect(elsewhere.reading.opened == 8)
        elsewhere.endProcess()
        #expect((elsewhere.reading.opened, elsewhere.reading.open) == (8, 0))
        elsewhere.note(TallySamples.route.reading)
        #expect((elsewhere.reading.opened, elsewhere.reading.open) == (16, 5))
        #expect(elsewhere.reading.received.bytes == 60)
    }
}
