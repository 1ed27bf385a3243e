import Testing

@testable import GatewayServer

@Suite("EndingSignals: what comes directly and by way of the watching process is one request")
struct EndingSignalsTests {
    @Test(
        "the first by the second way is an echo; a second by the same way is none",
        arguments: [
            ([7, 1], [false, true]), ([1, 7], [false, true]), ([1, 1], [false, false]), ([7, 7], [false, false]),
            ([7, 1, 7, 1], [false, true, false, true]), ([7, 7, 1, 1], [false, false, true, true]),
            ([0, 7], [false, false]),
        ])
    func echoes(senders: [Int32], expected: [Bool]) {
        var signals = EndingSignals()
        #expect(senders.map { signals.isEcho(from: $0, watcher: 1) } == expected)
    }

    @Test("without a watching process there are none")
    func alone() {
        var signals = EndingSignals()
        #expect([1, 7, 1].map { signals.isEcho(from: $0, watcher: nil) } == [false, false, false])
    }
}
