import Testing

@testable import GatewayServer

@Suite("LoopLag: how long a worker takes to hear of something")
struct LoopLagTests {
    @Test func `one question at a time`() {
        let lag = LoopLag()
        #expect(lag.ask(at: 1_000_000))
        #expect(!lag.ask(at: 2_000_000))
        #expect(lag.waiting(at: 501_000_000) == 0.5)
        lag.answer(at: 3_000_000)
        #expect(lag.waiting(at: 501_000_000) == 0)
        #expect(lag.reading.count == 1 && abs(lag.reading.sum - 0.002) < 1e-12)
        #expect(lag.ask(at: 4_000_000))
    }

    @Test func `a worker answers it from its mailbox`() throws {
        let steps = try StepWorker()
        let port = steps.worker.port
        #expect(port.lag.ask(at: steps.worker.nowNanoseconds))
        port.post(.lag(port.lag))
        #expect(port.lag.waiting(at: .max) > 0)
        steps.step(after: 40)
        #expect(port.lag.waiting(at: .max) == 0)
        #expect(port.lag.reading.count == 1 && port.lag.reading.sum >= 0.04)
    }
}
