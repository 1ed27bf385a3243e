import GatewayIO
import Glibc
import TestSupport
import Testing

@testable import GatewayServer

/// A connection of a worker that is relayed: its client, and the process of its handler at the far end.
final class Relayed {
    let steps: StepWorker
    let client: StepWorker.Peer
    let process: Process

    /// The process, with its copy of the far end.
    final class Process {
        private var number: Int32
        /// Nothing more comes.
        private(set) var hasEnded = false
        /// What reading has failed with.
        private(set) var error: Int32?

        init(copying descriptor: Int32) {
            number = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            precondition(number >= 0, "no copy of a descriptor")
        }

        deinit { close() }

        /// - Returns: how many bytes have been taken.
        @discardableResult
        func say(_ bytes: some Collection<UInt8>) -> Int {
            let count = Array(bytes).withUnsafeBytes { send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            return max(0, count)
        }

        /// What it is told, at most so many bytes of it.
        func heard(atMost most: Int = 1 << 20) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: most)
            let count = bytes.withUnsafeMutableBytes { recv(number, $0.baseAddress, $0.count, 0) }
            if count == 0 { hasEnded = true }
            if count < 0, errno != EAGAIN { error = errno }
            return Array(bytes.prefix(max(0, count)))
        }

        /// Reading fails with a reset, at the latest when no process that is being started has a copy of the other end any more.
        var isReset: Bool {
            eventually {
                _ = heard()
                return error == ECONNRESET
            }
        }

        /// All that it is told, as long as `more` brings more.
        func heardAll(_ more: () -> Void) -> [UInt8] {
            var all: [UInt8] = []
            while true {
                more()
                let part = heard()
                if part.isEmpty { return all }
                all += part
            }
        }

        func finish() { shutdown(number, Int32(SHUT_WR)) }

        /// What is closed from here on is to be a reset, as `Transport` asks for it.
        func resetOnClose() {
            var value = linger(l_onoff: 1, l_linger: 0)
            setsockopt(number, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        }

        func close() {
            if number >= 0 { _ = Glibc.close(number) }
            number = -1
        }
    }

    init(on steps: StepWorker? = nil, window: Int = .max, lastWord: String = "") throws {
        let steps = try steps ?? StepWorker()
        self.steps = steps
        client = steps.connect(window: window, lastWord: lastWord)
        let place = try #require(client.place)
        place.pointee.phase = .away
        process = Process(copying: try steps.worker.relays.begin(place, on: steps.worker))
        steps.worker.resumeLater(place)
        steps.step()
    }

    /// The process says that it has let go of the connection, and has.
    func leave() {
        process.close()
        ended()
    }

    func ended() {
        guard let place = client.place else { return }
        steps.onWorker { steps.worker.relays.ended(place, on: steps.worker) }
        steps.step()
    }

    /// What waits for the process here, and for the client.
    var waiting: (up: Int, down: Int) {
        guard let place = client.place else { return (0, 0) }
        return (place.pointee.leftover.count, place.pointee.outbox.count)
    }

    /// Bytes that are told from each other.
    static func bytes(_ count: Int, _ seed: UInt64) -> [UInt8] {
        let start = Int(seed &* 7919 % 100_000)
        return Array(noise[start..<start + count])
    }

    private static let noise: [UInt8] = {
        var random = SeededRandom(seed: 1)
        return (0..<100_000).flatMap { _ in
            (0..<8).map { [word = random.next()] in UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
    }()
}
