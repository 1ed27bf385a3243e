import Bytes
import GatewayIO
import Glibc
import Synchronization

/// The error log and the access log: one line a message on stderr, whole, by way of `LogWriter`.
package struct Log: Sendable {
    enum Level: Int, Comparable, Sendable {
        case trace
        case debug
        case info
        case warn
        case error

        static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }

        var name: String {
            switch self {
            case .trace: "trace"
            case .debug: "debug"
            case .info: "info"
            case .warn: "warning"
            case .error: "error"
            }
        }
    }

    /// nil writes nothing.
    let threshold: Level?

    func writes(_ level: Level) -> Bool { threshold.map { level >= $0 } ?? false }

    func write(_ level: Level, _ message: @autoclosure () -> String) {
        guard writes(level) else { return }
        LogWriter.standardError.append("\(level.name): \(PrintableText.escaped(message()))")
    }

    /// A line of the access log.
    static func access(_ text: String) { LogWriter.standardError.append("access: \(text)") }

    /// Waits until all lines are written, or no reader takes them: before the process ends, or another writer follows.
    package static func finish(patience milliseconds: UInt64 = 1000) {
        LogWriter.standardError.finish(patience: milliseconds)
    }

    func info(_ message: @autoclosure () -> String) { write(.info, message()) }
    func warn(_ message: @autoclosure () -> String) { write(.warn, message()) }
    func error(_ message: @autoclosure () -> String) { write(.error, message()) }
    func debug(_ message: @autoclosure () -> String) { write(.debug, message()) }

    /// Writes a line at once and waits until it is written: for commands, never for a gateway that serves.
    package static func line(_ text: String) {
        var text = text + "\n"
        text.withUTF8 { bytes in
            var rest = unsafe bytes[...]
            while unsafe !rest.isEmpty {
                let count = unsafe Glibc.write(
                    STDERR_FILENO,
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[rest.startIndex...]).baseAddress,
                    rest.count)
                // Without a reader the line is lost; serving goes on.
                guard count > 0 else { return }
                unsafe rest = rest.dropFirst(count)
            }
        }
    }
}
