import CLinux
import GatewayIO
import Glibc

/// News of a process to wait for: that it ends, or writes to its log.
struct TrialNews: ~Copyable {
    private let end: FileDescriptor
    private let log: FileDescriptor

    /// From here on nothing is missed.
    init(of process: pid_t, log path: String) {
        end = FileDescriptor(adopting: clinux_process_descriptor(process))
        log = FileDescriptor(adopting: inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK)))
        _ = unsafe inotify_add_watch(log.number, path, UInt32(IN_MODIFY))
    }

    /// Returns when there is any, after a second at the latest: the kernel has a limit to how many may be told.
    func wait(milliseconds: Int32) {
        var sources = [end.number, log.number].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        _ = unsafe poll(&sources, nfds_t(sources.count), min(milliseconds, 1000))
        var events = [UInt8](repeating: 0, count: 4096)
        while unsafe read(log.number, &events, events.count) > 0 {}
    }
}
