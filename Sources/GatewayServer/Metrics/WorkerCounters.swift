import CGatewayABI
import CLinux
import GatewayMetrics
import Synchronization

/// What one worker has counted of the connections of one instance: the worker alone writes, any thread reads.
final class WorkerCounters: Sendable {
    /// One direction of the messages.
    final class Direction: Sendable {
        private let text = Atomic<UInt64>(0)
        private let binary = Atomic<UInt64>(0)
        private let bytes = Atomic<UInt64>(0)

        /// - Parameter kinds: the sum of GW_TEXT and GW_BINARY over the messages.
        func count(messages: UInt32, kinds: UInt32, bytes: UInt32) {
            // GW_TEXT is 1 and GW_BINARY 2, so what the sum has above the number of messages are the binary ones.
            let ofBinary = kinds &- messages
            self.binary.count(UInt64(ofBinary))
            self.text.count(UInt64(messages &- ofBinary))
            self.bytes.count(UInt64(bytes))
        }

        func add(to total: inout TrafficReading.Direction) {
            total.text &+= text.load(ordering: .relaxed)
            total.binary &+= binary.load(ordering: .relaxed)
            total.bytes &+= bytes.load(ordering: .relaxed)
        }
    }

    let received = Direction()
    let sent = Direction()
    /// Connections that were opened for the instance, and those of any origin that are with it now.
    let opened = Atomic<UInt64>(0)
    let open = Atomic<UInt64>(0)
    /// Connections that were handed over to it, those that either side kept from it, and those that it was told to let
    /// go of with 1012.
    let moved = Atomic<UInt64>(0)
    let refused = Atomic<UInt64>(0)
    let abandoned = Atomic<UInt64>(0)
    let callbacks = CallbackDurations()
    // Most instances of most workers never need these.
    private let closes = LazyReference<CloseCounters>()
    private let handshakes = LazyReference<DurationHistogram>()
    private let roundTrips = LazyReference<DurationHistogram>()

    func noteClose(code: UInt16, by initiator: UInt16) {
        (closes.load() ?? closes.storeIfNil(CloseCounters())).note(code: code, by: initiator)
    }

    func noteHandshake(nanoseconds: UInt64) {
        (handshakes.load() ?? handshakes.storeIfNil(DurationHistogram(.wait))).observe(nanoseconds: nanoseconds)
    }

    func noteRoundTrip(nanoseconds: UInt64) {
        (roundTrips.load() ?? roundTrips.storeIfNil(DurationHistogram(.wait))).observe(nanoseconds: nanoseconds)
    }

    /// Any thread: adds what was counted so far.
    func add(to total: inout TrafficReading) {
        received.add(to: &total.received)
        sent.add(to: &total.sent)
        total.opened &+= opened.load(ordering: .relaxed)
        total.open &+= open.load(ordering: .relaxed)
        total.moved &+= moved.load(ordering: .relaxed)
        total.refused &+= refused.load(ordering: .relaxed)
        total.abandoned &+= abandoned.load(ordering: .relaxed)
        closes.load()?.add(to: &total.closes)
        if let reading = handshakes.load()?.reading { total.handshakes.add(reading) }
        if let reading = roundTrips.load()?.reading { total.roundTrips.add(reading) }
        callbacks.add(to: &total.callbacks)
    }
}

extension Atomic where Value == UInt64 {
    /// For the one thread that writes it, which needs no locked instruction.
    func count(_ number: UInt64 = 1) { store(load(ordering: .relaxed) &+ number, ordering: .relaxed) }

    /// The same for what is there and goes again.
    func uncount() { store(load(ordering: .relaxed) &- 1, ordering: .relaxed) }
}

/// How connections have ended: by close code, and by who ended them. Written by one worker.
final class CloseCounters: Sendable {
    /// A close code as metrics name it, and who began.
    struct Cause: Hashable, Sendable {
        let code: String
        let initiator: String
    }

    /// 1000 to 1015, 3xxx, 4xxx (RFC 6455 7.4).
    private static let codes = 18
    private static let initiators = ["peer", "handler", "gateway", "transport", "reload", "shutdown"]

    private let counts = InlineArray<108, Atomic<UInt64>> { _ in Atomic(0) }

    func note(code: UInt16, by initiator: UInt16) {
        let place =
            switch code {
            case 1000...1015: Int(code) - 1000
            case ..<4000: 16
            default: 17
            }
        let who = min(max(Int(initiator), GW_BY_PEER), GW_BY_SHUTDOWN) - GW_BY_PEER
        counts[place * Self.initiators.count + who].count()
    }

    func add(to total: inout [Cause: UInt64]) {
        for code in 0..<Self.codes {
            for (index, initiator) in Self.initiators.enumerated() {
                let count = counts[code * Self.initiators.count + index].load(ordering: .relaxed)
                if count == 0 { continue }
                let name = code < 16 ? "\(1000 + code)" : code == 16 ? "3xxx" : "4xxx"
                total[Cause(code: name, initiator: initiator), default: 0] &+= count
            }
        }
    }
}

/// How long callbacks took, by callback: of those that were looked at.
final class CallbackDurations: Sendable {
    private let histograms = InlineArray<32, LazyReference<DurationHistogram>> { _ in LazyReference() }

    private func histogram(_ callback: clinux_callback) -> DurationHistogram {
        let index = Int(callback.rawValue) % 32
        return histograms[index].load() ?? histograms[index].storeIfNil(DurationHistogram(.callback))
    }

    /// The worker whose it is.
    func observe(_ callback: clinux_callback, nanoseconds: UInt64) {
        histogram(callback).observe(nanoseconds: nanoseconds)
    }

    /// The threads of a pool.
    func observeAmongOthers(_ callback: clinux_callback, nanoseconds: UInt64) {
        histogram(callback).observeAmongOthers(nanoseconds: nanoseconds)
    }

    func add(to total: inout [String: HistogramReading]) {
        for index in 0..<Int(CLINUX_CALLBACKS.rawValue) {
            guard let reading = histograms[index].load()?.reading else { continue }
            let name = clinux_callback(rawValue: UInt32(index)).name
            if total[name] == nil { total[name] = reading } else { total[name]?.add(reading) }
        }
    }
}
