import Glibc

/// What the kernel says of this process (proc(5)).
struct ProcessUsage {
    private(set) var cpuSeconds = 0.0
    private(set) var threads = 0
    private(set) var virtualBytes: UInt64 = 0
    private(set) var residentBytes: UInt64 = 0
    /// Seconds since 1970.
    private(set) var startedAt = 0.0
    private(set) var openDescriptors = 0
    /// Nil for no limit.
    private(set) var mostDescriptors: UInt64?
    private(set) var mostVirtualBytes: UInt64?

    /// Nil where there is no /proc.
    init?() {
        guard let text = Self.text("/proc/self/stat"), self.read(stat: text) else { return nil }
        openDescriptors = Self.countDescriptors()
        mostDescriptors = Self.limit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue))
        mostVirtualBytes = Self.limit(__rlimit_resource_t(RLIMIT_AS.rawValue))
    }

    /// - Parameter bootedAt: seconds since 1970 at which the machine started; read from the kernel where it is nil.
    init?(stat text: String, bootedAt: Double?) {
        guard read(stat: text, bootedAt: bootedAt) else { return nil }
    }

    private mutating func read(stat text: String, bootedAt: Double? = nil) -> Bool {
        // The second field is the name in parentheses, in which anything may stand.
        guard let end = text.lastIndex(of: ")") else { return false }
        let fields = text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
        guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
            let threads = Int(fields[17]), let started = Double(fields[19]), let virtual = UInt64(fields[20]),
            let pages = UInt64(fields[21])
        else { return false }
        let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        cpuSeconds = (user + system) / ticks
        self.threads = threads
        virtualBytes = virtual
        residentBytes = pages &* UInt64(max(1, sysconf(Int32(_SC_PAGESIZE))))
        startedAt = (bootedAt ?? Self.bootTime() ?? 0) + started / ticks
        return true
    }

    private static func bootTime() -> Double? {
        guard let text = text("/proc/stat") else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst(6)) }
    }

    private static func text(_ path: String) -> String? {
        let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { return nil }
        defer { _ = close(number) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe part.withUnsafeMutableBytes { unsafe Glibc.read(number, $0.baseAddress, $0.count) }
            if count <= 0 { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func countDescriptors() -> Int {
        guard let folder = unsafe opendir("/proc/self/fd") else { return 0 }
        defer { unsafe closedir(folder) }
        var count = 0
        while unsafe readdir(folder) != nil { count += 1 }
        // Of these are "." and "..", and what the folder is read with.
        return max(0, count - 3)
    }

    private static func limit(_ resource: __rlimit_resource_t) -> UInt64? {
        var limit = rlimit()
        guard unsafe getrlimit(resource, &limit) == 0, limit.rlim_cur != rlim_t.max else { return nil }
        return UInt64(limit.rlim_cur)
    }
}
