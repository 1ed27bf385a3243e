import GatewayConfiguration
import GatewayIO
import Glibc
import Synchronization

/// The error log: what the gateway and its handlers have to say. Copies are the same log.
package struct Log: Sendable {
    enum Level: Int, Comparable, Sendable {
        case trace
        case debug
        case info
        case warn
        case error

        /// As sites of handlers have it: one less than this is the least that is written; 0 is nil.
        init?(least: UInt32) { self.init(rawValue: Int(least) - 1) }

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

    /// Where its lines go and how they are written: another configuration may say otherwise while it is in use.
    private final class Target: Sendable {
        /// The raw value of the least level that is written.
        let threshold: Atomic<Int>
        let place: Mutex<(writer: LogWriter, form: LogForm)>
        /// What is information elsewhere is for those here who look for faults.
        let isQuiet = Atomic<Bool>(false)

        init(threshold: Int, writer: LogWriter, form: LogForm) {
            self.threshold = Atomic(threshold)
            place = Mutex((writer, form))
        }
    }

    private let target: Target

    /// A log on standard error.
    ///
    /// - Parameter threshold: nil writes nothing.
    init(threshold: Level?) {
        target = Target(threshold: threshold?.rawValue ?? .max, writer: .standardError, form: .text)
    }

    init(_ destination: Destination) {
        self.init(threshold: nil)
        take(destination)
    }

    /// What a configuration says of it, and its file is open.
    struct Destination {
        fileprivate let threshold: Int
        fileprivate let place: (writer: LogWriter, form: LogForm)?

        init(_ configuration: ErrorLogConfiguration?) throws(Errno) {
            threshold = configuration.map { Level($0.level).rawValue } ?? .max
            guard let configuration else {
                place = nil
                return
            }
            place = (try LogFiles.writer(for: configuration.destination, configuration.form), configuration.form)
        }
    }

    /// Writes there from now on.
    func take(_ destination: Destination) {
        if let place = destination.place { target.place.withLock { $0 = place } }
        target.threshold.store(destination.threshold, ordering: .relaxed)
    }

    /// In the process of a handler: what goes its usual way there is told by the first process.
    func quieten() { target.isQuiet.store(true, ordering: .relaxed) }

    func writes(_ level: Level) -> Bool { level.rawValue >= target.threshold.load(ordering: .relaxed) }

    /// The same of a line with a least level of its own, which counts instead of that of the log; nothing is written to one
    /// that is off.
    func writes(_ level: Level, by least: Level?) -> Bool {
        let threshold = target.threshold.load(ordering: .relaxed)
        return threshold != .max && level.rawValue >= least?.rawValue ?? threshold
    }

    /// - Parameter subject: for those who read it as JSON; the message says it in words.
    func write(_ level: Level, _ message: @autoclosure () -> String, about subject: LogLine.Subject? = nil) {
        if writes(level) { put(level, message(), about: subject) }
    }

    /// Writes a line of which it has been asked whether it is to be written.
    func put(_ level: Level, _ message: String, about subject: LogLine.Subject? = nil) {
        let (writer, form) = target.place.withLock { $0 }
        let line = LogLine(time: LogTime.now(), level: level, message: message, subject: subject ?? .init())
        writer.append(line.text(form))
    }

    /// Waits until all lines are written, or no reader takes them: before the process ends, or another writer follows.
    package static func finish(patience milliseconds: UInt64 = 1000) { LogFiles.finish(patience: milliseconds) }

    func info(_ message: @autoclosure () -> String, about subject: LogLine.Subject? = nil) {
        write(target.isQuiet.load(ordering: .relaxed) ? .debug : .info, message(), about: subject)
    }
    func warn(_ message: @autoclosure () -> String, about subject: LogLine.Subject? = nil) {
        write(.warn, message(), about: subject)
    }
    func error(_ message: @autoclosure () -> String, about subject: LogLine.Subject? = nil) {
        write(.error, message(), about: subject)
    }
    func debug(_ message: @autoclosure () -> String, about subject: LogLine.Subject? = nil) {
        write(.debug, message(), about: subject)
    }

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

extension Log.Level {
    init(_ level: Configuration.LogLevel) {
        switch level {
        case .trace: self = .trace
        case .debug: self = .debug
        case .info: self = .info
        case .warn: self = .warn
        case .error: self = .error
        }
    }
}
