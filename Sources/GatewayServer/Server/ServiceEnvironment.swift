import Glibc

/// What a service manager such as systemd says to a process that it starts, in variables of the environment.
package struct ServiceEnvironment: Sendable, Equatable {
    /// A descriptor that was handed over (sd_listen_fds(3)).
    struct Descriptor: Sendable, Equatable {
        let number: Int32
        /// As the manager calls it.
        let name: String
    }

    /// The first descriptor that is handed over (SD_LISTEN_FDS_START).
    private static let firstDescriptor: Int32 = 3
    /// What would be none of our business in processes that handlers start, and does harm there.
    private static let ours = [
        "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID",
        "LISTEN_FDNAMES",
    ]
    private static let folders = ["STATE_DIRECTORY", "RUNTIME_DIRECTORY"]

    /// Where it wants to hear how the gateway does; nil = nowhere.
    let notifySocket: String?
    /// How often it wants to hear that all is well, at least; nil = never.
    let watchdogMicroseconds: UInt64?
    let descriptors: [Descriptor]
    /// A folder for what outlives the process, and one for what does not.
    let stateFolder: String?
    let runtimeFolder: String?

    /// The variables that say to another program of this gateway what was said to this one.
    var ofSuccessor: [String: String] {
        var variables: [String: String] = [:]
        variables["NOTIFY_SOCKET"] = notifySocket
        variables["WATCHDOG_USEC"] = watchdogMicroseconds.map { String($0) }
        return variables
    }

    /// Nobody says anything.
    package init() { self.init([:], process: 0) }

    /// - Parameter process: whom it has to be said to.
    init(_ variables: [String: String], process: Int32) {
        notifySocket = variables["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        let isWatched = variables["WATCHDOG_PID"].map { Int32($0) == process } ?? true
        let microseconds = variables["WATCHDOG_USEC"].flatMap { UInt64($0) } ?? 0
        watchdogMicroseconds = isWatched && microseconds > 0 ? microseconds : nil
        let isForUs = variables["LISTEN_PID"].flatMap { Int32($0) } == process
        let count = isForUs ? variables["LISTEN_FDS"].flatMap { Int32($0) } ?? 0 : 0
        let names = (variables["LISTEN_FDNAMES"] ?? "").split(separator: ":", omittingEmptySubsequences: false)
        descriptors = (0..<min(max(0, count), 4096)).map { index in
            Descriptor(
                number: Self.firstDescriptor + index,
                name: Int(index) < names.count && !names[Int(index)].isEmpty ? String(names[Int(index)]) : "unknown")
        }
        stateFolder = Self.folder(variables["STATE_DIRECTORY"])
        runtimeFolder = Self.folder(variables["RUNTIME_DIRECTORY"])
    }

    /// systemd.exec(5): several are separated by colons; the first one is ours.
    private static func folder(_ value: String?) -> String? {
        value?.split(separator: ":").first.map { String($0) }.flatMap { $0.hasPrefix("/") ? $0 : nil }
    }

    /// Reads what was said to this process and takes it out of the environment; no program that is started from here on
    /// inherits the descriptors. To be called once, before there is a second thread.
    package static func take() -> ServiceEnvironment {
        var variables: [String: String] = [:]
        for name in ours + folders {
            variables[name] = unsafe getenv(name).map { unsafe String(cString: $0) }
        }
        for name in ours { _ = unsafe unsetenv(name) }
        let environment = ServiceEnvironment(variables, process: getpid())
        for descriptor in environment.descriptors { _ = fcntl(descriptor.number, F_SETFD, FD_CLOEXEC) }
        return environment
    }
}
