import GatewayConfiguration
import GatewayIO
import Synchronization

/// The writers of this process, one for each place, so that the lines of all who log there come from one thread.
enum LogFiles {
    /// By path; a writer stays, and has its file open as long as it is wanted.
    private static let writers = Mutex<[String: LogWriter]>([:])

    private static var all: [LogWriter] { [LogWriter.standardError] + writers.withLock { Array($0.values) } }

    /// The writer for a place; a file is created where there is none.
    static func writer(for destination: LogDestination, _ form: LogForm) throws(Errno) -> LogWriter {
        let writer: LogWriter
        switch destination {
        case .standardError: writer = .standardError
        case .file(let path):
            writer = writers.withLock { writers in
                let known = writers[path] ?? LogWriter(file: path)
                writers[path] = known
                return known
            }
            try writer.open()
        }
        writer.form.store(form == .json ? 1 : 0, ordering: .relaxed)
        return writer
    }

    /// Opens all files by their names again: they have been moved away.
    static func reopen() {
        for writer in all { writer.reopen() }
    }

    /// Closes files that are no longer named, when what was logged to them is written.
    static func keep(only destinations: [LogDestination]) {
        writers.withLock { writers in
            for (path, writer) in writers where !destinations.contains(.file(path)) { writer.release() }
        }
    }

    /// Waits until all lines are written, or no reader takes them: before the process ends, or another writer follows.
    static func finish(patience milliseconds: UInt64) {
        for writer in all { writer.finish(patience: milliseconds) }
    }

    /// Lines that found no room, in all.
    static var droppedLines: UInt64 { all.reduce(0) { $0 &+ $1.droppedLines } }
}
