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
        LogWriter.standardError.append("\(level.name): \(Self.escaped(message()))")
    }

    /// A line of the access log.
    static func access(_ text: String) { LogWriter.standardError.append("access: \(text)") }

    /// Waits until all lines are written, or nobody reads them: before the process ends, or somebody else writes.
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
        text.withUTF8 { octets in
            var rest = unsafe octets[...]
            while unsafe !rest.isEmpty {
                let count = unsafe Glibc.write(
                    STDERR_FILENO,
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(octets)[rest.startIndex...]).baseAddress,
                    rest.count)
                // Where nobody can read it the line is lost; serving goes on.
                guard count > 0 else { return }
                unsafe rest = rest.dropFirst(count)
            }
        }
    }

    /// Octets of strangers cannot forge lines or drive a terminal.
    static func escaped(_ text: String) -> String {
        // Beyond ASCII there are control characters too.
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
        var clean = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0A: clean += "\n   "
            case 0..<0x20, 0x7F..<0xA0: clean += "\\u{\(String(scalar.value, radix: 16))}"
            default: clean.unicodeScalars.append(scalar)
            }
        }
        return clean
    }
}
