import Glibc

/// The last words of a gateway that a handler killed, as an earlier process wrote them (`crash.c`).
///
///     2026-01-31T23:59:59Z crash: handler "chat", generation 3, in message of route /: SIGSEGV (build 0123..., pid ...)
package struct CrashRecord: Equatable, Sendable {
    /// How much of the end of the file is looked at: some hundred crashes.
    private static let most = 1 << 16

    /// When, as RFC 3339 writes it in UTC: comparing the texts compares the times.
    package let time: String
    package let handler: String
    /// Which build of it.
    package let digest: UInt64
    /// Which callback of which generation, and the signal: everything but the time and the process.
    package let what: String

    /// Reads a line; nil for one that names no build.
    package init?(line: some StringProtocol) {
        let line = String(line)
        let opening = " crash: handler \""
        guard let start = line.firstRange(of: opening), let end = line[start.upperBound...].firstRange(of: "\", "),
            let build = line[end.upperBound...].firstRange(of: " (build "),
            let digest = UInt64(line[build.upperBound...].prefix(16), radix: 16)
        else { return nil }
        time = String(line[..<start.lowerBound])
        handler = String(line[start.upperBound..<end.lowerBound])
        self.digest = digest
        what = String(line[end.upperBound..<build.lowerBound])
    }

    /// The records in a file, oldest first; none where there is no file, or others could have written it.
    package static func all(in path: String) -> [CrashRecord] {
        guard let file = try? OpenFile(reading: path), let status = try? file.status(),
            status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(), status.st_mode & 0o022 == 0
        else { return [] }
        let size = Int(status.st_size)
        var buffer = [UInt8](repeating: 0, count: min(size, most))
        guard let count = try? file.read(into: &buffer, at: size - buffer.count) else { return [] }
        return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").compactMap {
            CrashRecord(line: $0)
        }
    }
}
