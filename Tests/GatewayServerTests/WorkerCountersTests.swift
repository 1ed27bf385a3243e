import CLinux
import GatewayMetrics
import Synchronization
import Testing

@testable import GatewayServer

@Suite("WorkerCounters: what one worker counts, and others read")
struct WorkerCountersTests {
    private func reading(_ counters: WorkerCounters) -> TrafficReading {
        var total = TrafficReading()
        counters.add(to: &total)
        return total
    }

    @Test(arguments: [(0, 0), (3, 0), (0, 4), (2, 5)] as [(UInt32, UInt32)])
    func `the sum of kinds tells text from binary`(text: UInt32, binary: UInt32) {
        let counters = WorkerCounters()
        counters.received.count(messages: text + binary, kinds: text + 2 * binary, bytes: 9)
        counters.received.count(messages: text + binary, kinds: text + 2 * binary, bytes: 1)
        let received = reading(counters).received
        #expect(received == .init(text: UInt64(text) * 2, binary: UInt64(binary) * 2, bytes: 10))
        #expect(reading(counters).sent == .init())
    }

    @Test(
        arguments: [
            (1000, "1000"), (1005, "1005"), (1006, "1006"), (1015, "1015"), (3000, "3xxx"), (3999, "3xxx"),
            (4000, "4xxx"),
            (4999, "4xxx"),
        ] as [(UInt16, String)])
    func `close codes of applications are counted together`(code: UInt16, label: String) {
        let counters = WorkerCounters()
        counters.noteClose(code: code, by: 1)
        #expect(reading(counters).closes == [.init(code: label, initiator: "peer"): 1])
    }

    @Test(
        arguments: zip(1...6 as ClosedRange<UInt16>, ["peer", "handler", "gateway", "transport", "reload", "shutdown"]))
    func `who ended it has the name of GW_BY`(by: UInt16, initiator: String) {
        let counters = WorkerCounters()
        counters.noteClose(code: 1001, by: by)
        counters.noteClose(code: 1001, by: by)
        #expect(reading(counters).closes == [.init(code: "1001", initiator: initiator): 2])
    }

    @Test func `callbacks are told apart, and those of the pool are added`() {
        let worker = CallbackDurations()
        let pool = CallbackDurations()
        worker.observe(CLINUX_MESSAGE, nanoseconds: 2000)
        worker.observe(CLINUX_OPEN, nanoseconds: 3000)
        pool.observeAmongOthers(CLINUX_MESSAGE, nanoseconds: 4000)
        var total: [String: HistogramReading] = [:]
        worker.add(to: &total)
        pool.add(to: &total)
        #expect(total.mapValues(\.count) == ["message": 2, "open": 1])
        #expect(total["message"].map { abs($0.sum - 6e-6) < 1e-12 } == true)
    }

    @Test func `handshakes and pongs`() {
        let counters = WorkerCounters()
        counters.noteHandshake(nanoseconds: 200_000)
        counters.noteRoundTrip(nanoseconds: 3_000_000)
        #expect(reading(counters).handshakes.cumulative.prefix(2) == [0, 1])
        #expect(reading(counters).roundTrips.count == 1)
    }

    @Test func `what goes is taken off`() {
        let number = Atomic<UInt64>(0)
        number.count(3)
        number.uncount()
        #expect(number.load(ordering: .relaxed) == 2)
    }
}
