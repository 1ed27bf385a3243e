import GatewayIO
import Glibc

/// What processes have used so far, as the kernel counts it.
package struct ServerUsage: Sendable {
    /// Time on a core of all threads, in nanoseconds.
    package var nanoseconds: UInt64 = 0
    /// Resident memory.
    package var residentKilobytes = 0

    /// Nothing is added for a process that is not there.
    package static func sample(_ processes: [Int32]) -> ServerUsage {
        var usage = ServerUsage()
        for process in processes {
            for thread in directory("/proc/\(process)/task") {
                guard UInt64(thread) != nil else { continue }
                // schedstat: time on the processor, time waiting for one, slices; the first two in nanoseconds.
                let words = text("/proc/\(process)/task/\(thread)/schedstat").split(separator: " ")
                usage.nanoseconds &+= words.first.flatMap { UInt64($0) } ?? 0
            }
            for line in text("/proc/\(process)/status").split(separator: "\n") where line.hasPrefix("VmRSS:") {
                usage.residentKilobytes &+= line.split(separator: " ").compactMap { Int($0) }.first ?? 0
            }
        }
        return usage
    }

    /// Whether there is a process with this number whose use can be read.
    package static func isThere(_ process: Int32) -> Bool { !text("/proc/\(process)/schedstat").isEmpty }

    /// User and system time of this process, in seconds.
    package static func own() -> (user: Double, system: Double) {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return (seconds(usage.ru_utime), seconds(usage.ru_stime))
    }

    private static func directory(_ path: String) -> [String] {
        guard let stream = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
        return names
    }

    /// The text of a small file of the kernel; empty when it cannot be read.
    private static func text(_ path: String) -> String {
        let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { return "" }
        let file = FileDescriptor(adopting: number)
        var bytes = [UInt8](repeating: 0, count: 8192)
        let count = unsafe bytes.withUnsafeMutableBytes { room in
            unsafe read(file.number, room.baseAddress, room.count)
        }
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
