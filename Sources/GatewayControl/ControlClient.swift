import GatewayIO
import Glibc

/// The other end of the control socket: asks a running gateway one thing and waits for the answer.
package enum ControlClient {
    /// Why there is no answer.
    package enum Failure: Error, Sendable, Equatable {
        /// No gateway listens there, or we may not connect; the kernel's reason.
        case unreachable(String)
        /// The gateway took the command and did not answer in time.
        case silent(seconds: Int)
        /// The gateway ended, or the connection broke, before the answer was complete.
        case cutShort
    }

    /// More than any status of a real gateway.
    private static let mostBytes = 64 << 20

    /// Sends a command and waits for the whole answer, at most so many seconds for each part of it; nil = for ever.
    package static func ask(
        _ command: ControlCommand, at path: String, seconds: Int?
    ) throws(Failure) -> ControlAnswer {
        let socket = try connect(path, seconds)
        let line = Array((command.line + "\n").utf8)
        // One line fits into an empty socket buffer, so there is no rest to be sent.
        guard case .moved(line.count) = socket.write(line[...]) else { throw .cutShort }
        var bytes: [UInt8] = []
        while bytes.count < mostBytes {
            let began = Clock.monotonicNanoseconds()
            switch socket.read(appendingTo: &bytes, atMost: 65536) {
            case .moved: continue
            case .wouldBlock:
                // A signal that stops us and lets us go on interrupts the call before its time.
                let waited = (Clock.monotonicNanoseconds() &- began) / 1_000_000_000
                if let seconds, waited >= UInt64(max(0, seconds &- 1)) { throw .silent(seconds: seconds) }
            case .endOfStream, .failed:
                guard let answer = ControlAnswer(bytes: bytes) else { throw .cutShort }
                return answer
            }
        }
        throw .cutShort
    }

    /// Sends a command and passes on what comes, whole lines, until the answer ends.
    ///
    /// - Parameter show: hears some lines; false when nobody wants any more.
    /// - Returns: the exit status; nil when nobody wanted any more.
    package static func follow(
        _ command: ControlCommand, at path: String, _ show: (String) -> Bool
    ) throws(Failure) -> Int32? {
        let socket = try connect(path, nil)
        let line = Array((command.line + "\n").utf8)
        guard case .moved(line.count) = socket.write(line[...]) else { throw .cutShort }
        var bytes: [UInt8] = []
        while true {
            switch socket.read(appendingTo: &bytes, atMost: 65536) {
            case .moved, .wouldBlock: break
            case .endOfStream, .failed:
                guard let answer = ControlAnswer(bytes: bytes) else { throw .cutShort }
                return answer.text.isEmpty || show(answer.text) ? answer.exit : nil
            }
            // The last line may be the one that says how it ended.
            guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            let start = bytes[..<end].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            let whole = bytes[start...].starts(with: "exit ".utf8) ? start : end + 1
            if whole > 0, !show(String(decoding: bytes[..<whole], as: UTF8.self)) { return nil }
            bytes.removeFirst(whole)
        }
    }

    private static func connect(_ path: String, _ seconds: Int?) throws(Failure) -> Socket {
        do throws(Errno) {
            return try Socket(connectingTo: path, timeout: seconds ?? 0)
        } catch {
            throw .unreachable(error.description)
        }
    }
}
