import GatewayControl
import Synchronization

/// What permessage-deflate did for the connections of a route on one worker, which alone writes it.
final class CompressionCounters: Sendable {
    /// One direction.
    final class Direction: Sendable {
        /// Bytes of messages that went or came compressed, before and after.
        private let plain = Atomic<UInt64>(0)
        private let compressed = Atomic<UInt64>(0)
        /// What that took, as far as it was looked at.
        private let nanoseconds = Atomic<UInt64>(0)
        /// How often something was done, and when it was looked at how long that takes.
        private let calls = Atomic<UInt64>(0)

        /// One in so many calls is looked at: the clock costs as much as a short message.
        private static let interval: UInt64 = 16

        /// - Returns: for how many calls the next one stands as to its time; nil when nobody looks.
        func begin() -> UInt64? {
            let call = calls.load(ordering: .relaxed)
            calls.store(call &+ 1, ordering: .relaxed)
            // The first of all stands for itself.
            return call == 0 ? 1 : call % Self.interval == 0 ? Self.interval : nil
        }

        func note(plain plainBytes: Int, compressed compressedBytes: Int) {
            Self.add(UInt64(clamping: plainBytes), to: plain)
            Self.add(UInt64(clamping: compressedBytes), to: compressed)
        }

        func note(nanoseconds time: UInt64) { Self.add(time, to: nanoseconds) }

        /// One writer needs no locked instruction.
        private static func add(_ number: UInt64, to counter: borrowing Atomic<UInt64>) {
            counter.store(counter.load(ordering: .relaxed) &+ number, ordering: .relaxed)
        }

        /// Any thread.
        fileprivate var report: StatusReport.Compression.Direction {
            .init(
                plainBytes: plain.load(ordering: .relaxed), compressedBytes: compressed.load(ordering: .relaxed),
                nanoseconds: nanoseconds.load(ordering: .relaxed))
        }
    }

    let received = Direction()
    let sent = Direction()

    /// The sums over the workers.
    static func report(_ workers: [CompressionCounters]) -> StatusReport.Compression {
        workers.reduce(into: .init()) {
            $0.received.add($1.received.report)
            $0.sent.add($1.sent.report)
        }
    }
}
